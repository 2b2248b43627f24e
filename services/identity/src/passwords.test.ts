import { argon2, type Argon2Parameters } from 'node:crypto';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createPasswords } from './passwords.ts';

const argon2Async = promisify(argon2);

/** The real thing, watched. */
function watched() {
  const runs: Argon2Parameters[] = [];
  let running = 0;
  let most = 0;
  const run = async (parameters: Argon2Parameters) => {
    runs.push(parameters);
    most = Math.max(most, (running += 1));
    try {
      return await argon2Async('argon2id', parameters);
    } finally {
      running -= 1;
    }
  };
  return { passwords: createPasswords({ run, now: () => 0 }), runs, most: () => most };
}

describe('passwords', () => {
  const passwords = createPasswords();

  it('recognises the password that was hashed, and no other', async () => {
    const stored = await passwords.hash('correct horse battery');
    expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(await passwords.verify('correct horse battery', stored)).toBe(true);
    expect(await passwords.verify('correct horse batterz', stored)).toBe(false);
    expect(await passwords.verify('', stored)).toBe(false);
  });

  it('salts', async () => {
    expect(await passwords.hash('the same one')).not.toBe(await passwords.hash('the same one'));
  });

  it('takes the same password in other code points', async () => {
    expect(await passwords.verify('cafe\u0301 au lait', await passwords.hash('caf\u00e9 au lait'))).toBe(true);
  });

  it('reads the cost from the hash', async () => {
    const parameters = { message: 'secret123456', nonce: Buffer.from('somesalt1234'), parallelism: 2, passes: 1, memory: 256, tagLength: 24 };
    const tag = await argon2Async('argon2id', parameters);
    const encoded = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '');
    const stored = `$argon2id$v=19$m=256,t=1,p=2$${encoded(parameters.nonce)}$${encoded(tag)}`;
    expect(await passwords.verify('secret123456', stored)).toBe(true);
    expect(await passwords.verify('secret123457', stored)).toBe(false);
  });

  it('works as hard without an account as with one', async () => {
    const { passwords: seen, runs } = watched();
    const stored = await seen.hash('correct horse battery');
    runs.length = 0;
    expect(await seen.verify('correct horse battery', stored)).toBe(true);
    expect(await seen.verify('correct horse battery', null)).toBe(false);
    const shape = ({ nonce, ...rest }: Argon2Parameters) => ({ ...rest, nonce: Buffer.from(nonce as Buffer).length });
    expect(runs.map(shape)).toEqual([shape(runs[0]!), shape(runs[0]!)]); // one run each: the lengths are compared
  });

  it.each(['', 'plain', '$2b$10$abc', '$argon2id$v=16$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaA'])('does not take %j for a hash', async (stored) => {
    await expect(passwords.verify('x', stored)).rejects.toThrow('not in the form');
  });

  it('knows a hash that cost less than a new one', async () => {
    const cheap = createPasswords({ cost: { memory: 8_192, passes: 2, parallelism: 1 } });
    const stored = await cheap.hash('correct horse battery');
    expect([cheap.isOutdated(stored), passwords.isOutdated(stored), passwords.isOutdated(await passwords.hash('x'))]).toEqual([false, true, false]);
  });

  it('makes one hash at a time, whoever asks for how many', async () => {
    const { passwords: seen, most } = watched();
    const both = seen.inTurn(2, async ({ verify }) => [await verify('a', null), await verify('b', null)]);
    await Promise.all([both, ...Array.from({ length: 6 }, () => seen.hash('correct horse battery'))]);
    expect(most()).toBe(1);
  });
});
