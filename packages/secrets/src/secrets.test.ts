import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sealBox } from './sealed-box.ts';
import { createSecrets, secretsOf } from './secrets.ts';

describe('secrets', () => {
  const secrets = secretsOf(randomBytes(32));
  const text = Buffer.from('a passphrase');

  it('open in their context', () => expect(secrets.open(secrets.seal(text, 'volume:1'), 'volume:1')).toEqual(text));

  it('open in no other context, under no other key, and not when changed', () => {
    const box = secrets.seal(text, 'volume:1');
    expect(() => secrets.open(box, 'volume:2')).toThrow('authenticate');
    const other = secretsOf(randomBytes(32));
    expect(() => other.open(box, 'volume:1')).toThrow(`sealed with the key ${secrets.keyId}`);
    expect(() => other.open({ ...box, keyId: other.keyId }, 'volume:1')).toThrow('authenticate');
    for (let at = 1; at < box.sealed.length; at += 1) {
      const changed = Buffer.from(box.sealed);
      changed[at] = changed[at]! ^ 1; // within its length
      expect(() => secrets.open({ ...box, sealed: changed }, 'volume:1')).toThrow('authenticate');
    }
  });

  it('of a later version are not taken for this one', () => {
    const box = secrets.seal(text, 'volume:1');
    box.sealed[0] = 3;
    expect(() => secrets.open(box, 'volume:1')).toThrow('version 3');
  });

  it('tell nothing of the key by its id', () => {
    const key = randomBytes(32);
    expect(secretsOf(key).keyId).toMatch(/^[0-9a-f]{16}$/);
    expect(key.toString('hex')).not.toContain(secretsOf(key).keyId);
  });
});

describe('with several master keys', () => {
  const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
  const [before, both, after] = [secretsOf(oldKey), secretsOf(newKey, oldKey), secretsOf(newKey)];
  const text = Buffer.from('a passphrase');

  it('the first seals, and all of them open', () => {
    expect(both.keyId).toBe(after.keyId);
    expect(both.open(before.seal(text, 'volume:1'), 'volume:1')).toEqual(text);
    expect(after.open(both.seal(text, 'volume:1'), 'volume:1')).toEqual(text);
  });

  it('what the old one has sealed becomes what the new one has sealed, and its text is not sealed again', () => {
    const box = before.seal(text, 'volume:1');
    const again = both.reseal(box, 'volume:1');
    expect(after.open(again, 'volume:1')).toEqual(text);
    expect(() => before.open(again, 'volume:1')).toThrow('sealed with the key');
    expect(() => before.open({ ...again, keyId: before.keyId }, 'volume:1')).toThrow('authenticate');
    expect(() => after.open(again, 'volume:2')).toThrow('authenticate');
    expect(again.sealed.subarray(61)).toEqual(box.sealed.subarray(61));
    expect(both.reseal(again, 'volume:1')).toBe(again);
  });

  it('nothing is made of what does not open', () => {
    const box = before.seal(text, 'volume:1');
    expect(() => both.reseal(box, 'volume:2')).toThrow('authenticate');
    box.sealed[box.sealed.length - 1]! ^= 1; // within its length
    expect(() => both.reseal(box, 'volume:1')).toThrow('authenticate');
    expect(() => after.reseal(before.seal(text, 'volume:1'), 'volume:1')).toThrow('sealed with the key');
  });

  it("another secret's data key opens nothing", () => {
    const [one, two] = [before.seal(text, 'volume:1'), before.seal(text, 'volume:1')];
    const mixed = Buffer.concat([two.sealed.subarray(0, 61), one.sealed.subarray(61)]);
    expect(() => before.open({ keyId: before.keyId, sealed: mixed }, 'volume:1')).toThrow('authenticate');
  });

  it('what was sealed with the master key itself opens, and is sealed anew', () => {
    const box = { keyId: before.keyId, sealed: Buffer.concat([Buffer.of(1), sealBox(oldKey, 'volume:1', text)]) };
    for (const secrets of [before, both]) expect(secrets.open(box, 'volume:1')).toEqual(text);
    const again = before.reseal(box, 'volume:1');
    expect(again.sealed[0]).toBe(2);
    expect(before.open(again, 'volume:1')).toEqual(text);
    expect(after.open(both.reseal(box, 'volume:1'), 'volume:1')).toEqual(text);
  });

  it('what has no version is tried with each of them', () => {
    expect(both.openBare(sealBox(oldKey, 'kid', text), 'kid')).toEqual(text);
    expect(() => after.openBare(sealBox(oldKey, 'kid', text), 'kid')).toThrow('No master key opens this');
    expect(() => both.openBare(sealBox(oldKey, 'kid', text), 'another')).toThrow('No master key opens this');
  });
});

describe('the master key file', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'secrets-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('is made once, for its owner alone, whoever comes first', async () => {
    const file = join(directory, 'keys/master.key');
    const [one, two] = await Promise.all([createSecrets(file), createSecrets(file)]);
    expect(one.keyId).toBe(two.keyId);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file)).toHaveLength(32);
  });

  it('must hold 32 bytes', async () => {
    const file = join(directory, 'short.key');
    await writeFile(file, 'short');
    await expect(createSecrets(file)).rejects.toThrow('must hold 32 bytes');
  });
});
