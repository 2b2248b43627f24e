import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
