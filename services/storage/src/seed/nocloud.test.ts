import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkCloudInit, CLOUD_INIT_LIMITS, type CloudInitInput } from '@novacron/contracts';
import { guestCache, testRun } from '@novacron/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { fileOfPackage } from '../../../../packages/testkit/src/guest/debian-package.ts';
import { writeIso } from './iso9660.ts';
import { seedImage } from './nocloud.ts';

/** A public key in OpenSSH's form. */
const sshString = (data: Buffer | string): Buffer => {
  const bytes = Buffer.from(data as Buffer);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};
const ed25519 = (): string => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  return `ssh-ed25519 ${Buffer.concat([sshString('ssh-ed25519'), sshString(raw)]).toString('base64')}`;
};

const KEY = ed25519();

describe('what cloud-init is told', () => {
  it('is taken as it is', () => {
    const input = { hostname: 'web-1.example.org', sshKeys: [`${KEY} me@home`, ` ${KEY}\n`], userData: '#!/bin/sh\n\techo "ä"\r\n', networkConfig: 'version: 2\n' };
    expect(checkCloudInit(input)).toEqual({ ...input, sshKeys: [`${KEY} me@home`, KEY] });
    expect(checkCloudInit({})).toEqual({ hostname: null, sshKeys: [], userData: null, networkConfig: null });
    expect(checkCloudInit({ userData: 'x'.repeat(64 * 1024), hostname: `${'a'.repeat(63)}.b` }).userData).toHaveLength(64 * 1024);
  });

  it.each<[string, string, CloudInitInput]>([
    ['no name', 'hostname', { hostname: '' }],
    ['a name with _', 'hostname', { hostname: 'web_1' }],
    ['a name that begins with -', 'hostname', { hostname: '-web' }],
    ['a name that ends with a dot', 'hostname', { hostname: 'web.' }],
    ['a name with a line end', 'hostname', { hostname: 'web\n' }],
    ['a label that is too long', 'hostname', { hostname: 'a'.repeat(64) }],
    ['a name that is too long', 'hostname', { hostname: Array.from({ length: 130 }, () => 'a').join('.') }],
    ['a name of other letters', 'hostname', { hostname: 'größe' }],
    ['no key', 'sshKeys', { sshKeys: [''] }],
    ['a key of an unknown type', 'sshKeys', { sshKeys: [KEY.replace('ssh-ed25519', 'ssh-dss')] }],
    ['a key of another type than it says', 'sshKeys', { sshKeys: [KEY.replace('ssh-ed25519', 'ssh-rsa')] }],
    ['a key that is no base64', 'sshKeys', { sshKeys: ['ssh-ed25519 !!!!'] }],
    ['a key that is cut off', 'sshKeys', { sshKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5'] }],
    ['a key with options', 'sshKeys', { sshKeys: [`command="sh" ${KEY}`] }],
    ['two keys in one', 'sshKeys', { sshKeys: [`${KEY}\n${KEY}`] }],
    ['a private key', 'sshKeys', { sshKeys: ['-----BEGIN OPENSSH PRIVATE KEY-----'] }],
    ['a long key', 'sshKeys', { sshKeys: [`${KEY} ${'x'.repeat(CLOUD_INIT_LIMITS.sshKey)}`] }],
    ['many keys', 'sshKeys', { sshKeys: Array.from({ length: 65 }, () => KEY) }],
    ['much user data', 'userData', { userData: 'x'.repeat(64 * 1024 + 1) }],
    ['much user data in UTF-8', 'userData', { userData: 'ä'.repeat(33 * 1024) }],
    ['binary user data', 'userData', { userData: 'a\0b' }],
    ['half a character', 'userData', { userData: '\ud800' }],
    ['binary network configuration', 'networkConfig', { networkConfig: '\x1b[2J' }],
  ])('is refused: %s', (_what, field, input) => {
    expect(() => checkCloudInit(input)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: `cloudInit.${field}` }));
  });
});

describe('a seed', () => {
  let isoinfo: string;
  let directory: string;
  beforeAll(async () => {
    isoinfo = await fileOfPackage('/usr/bin/isoinfo', 'genisoimage', guestCache());
    directory = (await testRun()).makeDirectory('seed');
  });
  /** What another program reads in an image. */
  const read = (image: Buffer, ...args: string[]): string => {
    const path = join(directory, 'seed.iso');
    writeFileSync(path, image);
    return execFileSync(isoinfo, ['-i', path, ...args], { encoding: 'utf8' });
  };
  const names = (image: Buffer, tree: '-R' | '-J'): string[] => read(image, tree, '-f').trim().split('\n').toSorted();

  const cloudInit = checkCloudInit({ hostname: '1e5', sshKeys: [`${KEY} "me" \\ ä`], userData: '#!/bin/sh\necho ä\n', networkConfig: `# ${'x'.repeat(5000)}\nversion: 2\n` });
  const image = seedImage('0193-vm', cloudInit);

  it.each(['-R', '-J'] as const)('is read by isoinfo %s', (tree) => {
    expect(names(image, tree)).toEqual(['/meta-data', '/network-config', '/user-data']);
    expect(read(image, tree, '-x', '/user-data')).toBe(cloudInit.userData);
    expect(read(image, tree, '-x', '/network-config')).toBe(cloudInit.networkConfig);
    expect(read(image, tree, '-x', '/meta-data')).toBe(
      `instance-id: "0193-vm"\nlocal-hostname: "1e5"\npublic-keys:\n  - ${JSON.stringify(`${KEY} "me" \\ ä`)}\n`,
    );
  });

  it('has the label that cloud-init looks for, and says how large it is', () => {
    const told = read(image, '-d');
    expect(told).toMatch(/^Volume id: cidata$/m);
    expect(told).toMatch(new RegExp(`^Volume size is: ${image.length / 2048}$`, 'm'));
    expect(told).toMatch(/Joliet with UCS level 3 found/);
    expect(told).toMatch(/Rock Ridge signatures version 1 found/);
    expect(image.toString('latin1', 32_808, 32_840)).toBe('cidata'.padEnd(32));
  });

  it('has no more than it was given, and user data in any case', () => {
    const least = seedImage('vm', checkCloudInit({}));
    expect(names(least, '-R')).toEqual(['/meta-data', '/user-data']);
    expect(read(least, '-R', '-x', '/meta-data')).toBe('instance-id: "vm"\n');
    expect(read(least, '-R', '-x', '/user-data')).toBe('#cloud-config\n');
  });

  it('is the same for the same input', () => {
    expect(seedImage('0193-vm', cloudInit).equals(image)).toBe(true);
  });

  it('is whole sectors, also when a file is empty or fills one', () => {
    const files = [{ name: 'empty', content: Buffer.alloc(0) }, { name: 'full', content: Buffer.alloc(2048, 'x') }, { name: 'more', content: Buffer.alloc(2049, 'y') }];
    const iso = writeIso('cidata', files);
    expect(iso.length % 2048).toBe(0);
    for (const { name, content } of files) expect(read(iso, '-R', '-x', `/${name}`)).toBe(content.toString());
  });

  it('holds no more files than one directory has room for', () => {
    const files = Array.from({ length: 30 }, (_, index) => ({ name: `file-${index}`, content: Buffer.alloc(1) }));
    expect(() => writeIso('cidata', files)).toThrow(RangeError);
  });
});
