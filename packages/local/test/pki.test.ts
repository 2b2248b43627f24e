import { createPrivateKey, X509Certificate } from 'node:crypto';
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testRun } from '@novacron/testkit';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { LocalError, makePki, type Pki } from '../src/index.ts';

const DAY_MS = 86_400_000;
const HOSTS = [
  { name: 'hv1', addresses: ['10.0.0.1', 'fd00::1', 'hv1.example.org'] },
  { name: 'hv2', addresses: [] },
];

describe('makePki', () => {
  let dir: string;
  let pki: Pki;

  beforeAll(async () => {
    dir = (await testRun()).makeDirectory('pki');
    pki = await makePki(dir, HOSTS);
  });
  afterEach(() => vi.unstubAllEnvs());

  const text = (file: string): string => readFileSync(join(dir, file), 'utf8');
  const certificate = (file: string): X509Certificate => new X509Certificate(text(file));
  const files = (what = '**'): string[] => globSync(what, { cwd: dir }).filter((file) => statSync(join(dir, file)).isFile()).toSorted();
  const keys = (): Record<string, string> => Object.fromEntries(files('**/*key.pem').map((file) => [file, text(file)]));

  it('lays out each host as libvirt and QEMU look for it, and NovaCron', () => {
    const host = [
      ...['CA/cacert.pem', 'libvirt/clientcert.pem', 'libvirt/private/clientkey.pem', 'libvirt/private/serverkey.pem', 'libvirt/servercert.pem'],
      ...['qemu/ca-cert.pem', 'qemu/client-cert.pem', 'qemu/client-key.pem', 'qemu/server-cert.pem', 'qemu/server-key.pem'],
    ];
    const client = ['CA/cacert.pem', 'libvirt/clientcert.pem', 'libvirt/private/clientkey.pem'];
    expect(files()).toEqual([
      ...['ca/cacert.pem', 'ca/cakey.pem'],
      ...['hv1', 'hv2'].flatMap((name) => host.map((file) => `hosts/${name}/${file}`)),
      ...client.map((file) => `novacron/${file}`),
    ]);
    expect(pki.hosts.map(({ directory }) => directory)).toEqual([join(dir, 'hosts/hv1'), join(dir, 'hosts/hv2')]);
    expect([pki.client.ca, pki.client.cert, pki.client.key]).toEqual(client.map((file) => join(dir, 'novacron', file)));
  });

  it('keeps keys from everybody else', () => {
    expect([...new Set(files('**/*key.pem').map((file) => statSync(join(dir, file)).mode & 0o777))]).toEqual([0o600]);
    expect([...new Set(files('**/*cert.pem').map((file) => statSync(join(dir, file)).mode & 0o777))]).toEqual([0o644]);
    expect(statSync(join(dir, 'hosts/hv1/libvirt/private')).mode & 0o777).toBe(0o700);
    expect(statSync(join(dir, 'hosts/hv1/libvirt')).mode & 0o777).toBe(0o755);
  });

  it('signs certificates that say who, for what, and how long', () => {
    const authority = certificate('ca/cacert.pem');
    expect(authority.ca).toBe(true);
    expect(authority.validToDate.getTime() - authority.validFromDate.getTime()).toBe(3_650 * DAY_MS);
    for (const file of files('{hosts,novacron}/**/*cert.pem').filter((name) => !/ca-?cert/.test(name))) {
      const made = certificate(file);
      expect({ file, isSigned: made.verify(authority.publicKey), isIssued: made.checkIssued(authority) }).toEqual({ file, isSigned: true, isIssued: true });
      expect(made.ca).toBe(false);
      expect(made.publicKey.asymmetricKeyType).toBe('rsa');
      expect(made.validToDate.getTime() - made.validFromDate.getTime()).toBe(825 * DAY_MS);
      expect(made.subject.split('\n').slice(0, 2)).toEqual(['O=NovaCron', file.includes('/qemu/') ? 'OU=qemu' : 'OU=libvirt']);
    }
    const server = certificate('hosts/hv1/libvirt/servercert.pem');
    expect(server.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']); // serverAuth, clientAuth
    expect(['hv1', 'hv1.example.org', 'hv2'].map((name) => server.checkHost(name) !== undefined)).toEqual([true, true, false]);
    expect(['10.0.0.1', 'fd00::1', '10.0.0.2'].map((address) => server.checkIP(address) !== undefined)).toEqual([true, true, false]);
    expect(certificate('novacron/libvirt/clientcert.pem').keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(pki.hosts[0]?.endsAt).toEqual(server.validToDate);
  });

  it('gives each its own key, QEMU another than libvirt', () => {
    for (const [cert, key] of [
      ['hosts/hv1/libvirt/servercert.pem', 'hosts/hv1/libvirt/private/serverkey.pem'],
      ['hosts/hv1/libvirt/clientcert.pem', 'hosts/hv1/libvirt/private/clientkey.pem'],
      ['hosts/hv2/qemu/client-cert.pem', 'hosts/hv2/qemu/client-key.pem'],
      ['novacron/libvirt/clientcert.pem', 'novacron/libvirt/private/clientkey.pem'],
      ['ca/cacert.pem', 'ca/cakey.pem'],
    ] as const) {
      expect({ cert, fits: certificate(cert).checkPrivateKey(createPrivateKey(text(key))) }).toEqual({ cert, fits: true });
    }
    expect(new Set(Object.values(keys())).size).toBe(6); // authority, NovaCron, two of each host
  });

  it('made again adds hosts and certificates, and keeps the authority and every key', async () => {
    const before = keys();
    const authority = text('ca/cacert.pem');
    const certificateOfHv2 = text('hosts/hv2/libvirt/servercert.pem');
    await Promise.all([makePki(dir, [{ name: 'hv1', addresses: ['10.0.0.9'] }]), makePki(dir, [{ name: 'hv3', addresses: [] }])]); // at once
    expect(keys()).toMatchObject(before);
    expect(text('ca/cacert.pem')).toBe(authority);
    expect(text('hosts/hv2/libvirt/servercert.pem')).toBe(certificateOfHv2);
    const server = certificate('hosts/hv1/libvirt/servercert.pem');
    expect([server.checkIP('10.0.0.9'), server.checkIP('10.0.0.1')]).toEqual(['10.0.0.9', undefined]);
    expect(server.checkPrivateKey(createPrivateKey(text('hosts/hv1/libvirt/private/serverkey.pem')))).toBe(true);
    expect(certificate('hosts/hv3/qemu/server-cert.pem').verify(certificate('ca/cacert.pem').publicKey)).toBe(true);
  });

  it.each(['', '-x', '../hv1', 'a b', 'a/CN=b', 'hv1,IP:10.0.0.1', 'hv.', 'x'.repeat(65)])('refuses the host %j', (name) => {
    expect(() => makePki(dir, [{ name, addresses: [] }])).toThrow(LocalError);
    expect(() => makePki(dir, [{ name: 'hv9', addresses: [name] }])).toThrow(LocalError);
    expect(() => makePki(dir, [{ name: 'hv9', addresses: [] }, { name: 'hv9', addresses: [] }])).toThrow(LocalError);
  });

  it('says what is missing, and does not take a foreign key for the authority’s', async () => {
    const other = (await testRun()).makeDirectory('pki');
    await makePki(other, []);
    writeFileSync(join(other, 'ca/cakey.pem'), text('ca/cakey.pem'));
    await expect(makePki(other, [])).rejects.toThrow(/openssl refused: .*do not match/s);
    vi.stubEnv('PATH', '/nowhere');
    await expect(makePki(dir, [])).rejects.toThrow('openssl is not installed here: apt-get install openssl');
  });
});
