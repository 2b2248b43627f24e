import { PERMISSIONS, type RoleAssignment } from '@novacron/contracts';
import { newId, type TenantId } from '@novacron/core';
import { describe, expect, it } from 'vitest';
import { isWithin, parseNetworks } from './addresses.ts';
import { parseScopes, rolesWithin, SCOPES } from './scopes.ts';
import { parseSshPublicKey } from './ssh-public-key.ts';

describe('scopes', () => {
  it.each([
    [['vm:start', 'vm:read', 'vm:start'], ['vm:read', 'vm:start']],
    [['user:read', 'audit:read'], ['audit:read', 'user:read']],
  ])('%j are %j', (names, scopes) => expect(parseScopes(names)).toEqual(scopes));

  it.each([[[]], [['vm:fly']], [['VM:READ']], [['__proto__']], [['vm:read', 'constructor']], [['user:create']], [['session:revoke']], [['api_token:revoke']], [['settings:update']]])(
    '%j are refused',
    (names) => expect(() => parseScopes(names)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'scopes' })),
  );

  it('are every permission but those that look after accounts, sessions, second factors, tokens and settings', () => {
    const kept = Object.keys(PERMISSIONS).filter((permission) => !(SCOPES as string[]).includes(permission));
    expect(kept.filter((permission) => !/^(user|role|session|second_factor|service_account|api_token|settings):/.test(permission))).toEqual([]);
    expect(SCOPES).toEqual(expect.arrayContaining(['vm:create', 'volume:delete', 'host:register', 'tenant:read', 'user:read']));
  });

  it('reach within one tenant what the user is there', () => {
    const [one, other] = [newId<TenantId>(), newId<TenantId>()];
    const roles: RoleAssignment[] = [{ role: 'operator', tenantId: one }, { role: 'viewer', tenantId: other }];
    expect(rolesWithin(roles, null)).toEqual(roles);
    expect(rolesWithin(roles, other)).toEqual([{ role: 'viewer', tenantId: other }]);
    expect(rolesWithin([{ role: 'platform_admin', tenantId: one }], other)).toEqual([{ role: 'tenant_admin', tenantId: other }]);
  });
});

describe('networks', () => {
  it.each([
    ['192.0.2.7/24', '192.0.2.0/24'],
    [' 192.0.2.7 ', '192.0.2.7/32'],
    ['2001:db8::1/32', '2001:db8::/32'],
    ['2001:DB8::1', '2001:db8::1/128'],
    ['0.0.0.0/0', '0.0.0.0/0'],
  ])('%s is %s', (text, network) => expect(parseNetworks([text])).toEqual([network]));

  it.each(['', '10.1', '0x0a.0.0.1', '010.0.0.1/8', '192.0.2.0/33', '192.0.2.0/-1', '192.0.2.0/24/8', '192.0.2.0/', 'fe80::1%eth0', '2001:db8::/129', 'localhost', '*'])(
    '"%s" is none',
    (text) => expect(() => parseNetworks([text])).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'addresses' })),
  );

  it.each<[string[], string | null, boolean]>([
    [[], null, true],
    [['192.0.2.0/24'], '192.0.2.255', true],
    [['192.0.2.0/24'], '::ffff:192.0.2.1', true],
    [['192.0.2.0/24'], '192.0.3.0', false],
    [['192.0.2.0/24'], '2001:db8::1', false],
    [['192.0.2.0/24', '2001:db8::/32'], '2001:db8:1::1', true],
    [['192.0.2.0/24'], null, false],
    [['192.0.2.0/24'], 'nonsense', false],
  ])('of %j, %s: %s', (networks, address, within) => expect(isWithin(networks, address)).toBe(within));
});

describe('public keys of SSH', () => {
  // made by OpenSSH 9.2: ssh-keygen -t <type> -C <comment>; the fingerprints are those of ssh-keygen -l
  it.each([
    ['ssh-ed25519', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC1s+FUxXlk6xFg0LMhTH4Pc68nzSQXDo56Ykac4vqvp me@here', 'SHA256:qwVIVOu1SbA2scHkgc3Rw7RaZkrlTaNJGHoBjYE92ts'],
    ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEpjOIotdMvNpEciVjAvz5/YnOHmjYClHoHZQdY7aeRI+Ynv17ZUEFR3wxinjEar/CT9NieXadhoSEVEnZYl0oE= me@here', 'SHA256:K6E7v9Vea2iex/pwsBR56+fy6V3YO+hprXlF9MwCeSE'],
    ['ssh-rsa', 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCJulutEC7uGse9eX/mQgMI2b/THuXawryyWkrXGdSroGV3HsdQMbWPAEqpekPSOf7lbDPFTRR38JSG8Qa8nq1CxHrs5OSYDFz5+DY/x1YWLklYGR+sL9j9CAcdXxGENTC04IKoBdtJv64FVcfjLlep3sutO+mgQw+3k/a4lMiJklX59hBfOc8eYEhl93dNY3wS5qaN0o1mxIgKnYQ4sk/iKAvakPgsN3PPaV89GGQrCH+c0n2Z+MbU4Zee4iLoAu/iXb4cVny8iYyjHtYR0fYsdpA5RJg5KhtHxXLe8A2sS8ck2/vMLZjAhdsEcSpIkpHZLzNGSBDDIFvLXbfHf7dT me@here', 'SHA256:10athtD+kOV8X3EgqUgNDftOuuxe/nsLFX1UNRaBkFA'],
  ])('%s', (_type, line, fingerprint) => {
    expect(parseSshPublicKey(`  ${line}\n`)).toEqual({ publicKey: line, fingerprint, comment: 'me@here' });
  });

  const string = (bytes: Buffer | string): Buffer => {
    const content = Buffer.from(bytes);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    return Buffer.concat([length, content]);
  };
  const line = (type: string, ...parts: (Buffer | string)[]) => `${type} ${Buffer.concat([type, ...parts].map(string)).toString('base64')}`;

  it.each([
    ['nothing', ''],
    ['two lines', `${line('ssh-ed25519', Buffer.alloc(32))}\nssh-rsa AAAA`],
    ['options', `command="sh" ${line('ssh-ed25519', Buffer.alloc(32))}`],
    ['a key that is too short', line('ssh-ed25519', Buffer.alloc(31))],
    ['more than a key', line('ssh-ed25519', Buffer.alloc(32), 'more')],
    ['a key of another type', line('ssh-ed25519', Buffer.alloc(32)).replace('ssh-ed25519', 'ssh-rsa')],
    ['RSA with 1024 bits', line('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.concat([Buffer.from([0]), Buffer.alloc(128, 255)]))],
    ['a point of another curve', line('ecdsa-sha2-nistp256', 'nistp384', Buffer.concat([Buffer.from([4]), Buffer.alloc(64)]))],
    ['a private key', '-----BEGIN OPENSSH PRIVATE KEY-----'],
  ])('are not %s', (_what, text) => expect(() => parseSshPublicKey(text)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'publicKey' })));

  it('of RSA have 2048 bits or more', () => {
    expect(parseSshPublicKey(line('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.concat([Buffer.from([0]), Buffer.alloc(256, 255)]))).comment).toBeNull();
  });
});
