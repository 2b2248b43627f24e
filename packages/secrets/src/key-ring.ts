import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { checkMasterKey } from './sealed-box.ts';
import { announcedFile, parseMasterKeys } from './master-key.ts';

/** The master keys that there are, by their ids. */
export interface KeyRing {
  /** The one that seals. */
  readonly newest: { readonly id: string; readonly key: Uint8Array };
  /** All of them open what they have sealed. */
  readonly byId: ReadonlyMap<string, Uint8Array>;
}

/** Names a key without telling anything of it. */
export const keyIdOf = (key: Uint8Array): string => createHash('sha256').update('novacron key id\0').update(key).digest('hex').slice(0, 16);

/** The first one seals. Throws for a key of the wrong length. */
export function keyRing([first, ...others]: readonly [Uint8Array, ...Uint8Array[]]): KeyRing {
  for (const key of [first, ...others]) checkMasterKey(key);
  return { newest: { id: keyIdOf(first), key: first }, byId: new Map([first, ...others].map((key) => [keyIdOf(key), key])) };
}

/** Where keys are kept: `now` looks whether they have changed. */
export interface KeySource {
  now(): KeyRing;
  /** As it was when somebody last looked. */
  last(): KeyRing;
}

/**
 * The keys of a master key file, and the one that is announced beside it, which seals nothing yet. The file is looked at whenever
 * something is sealed, and read again when it is another one: whoever changes keys need not restart anybody. A file that is just being
 * copied, or gone, changes nothing.
 */
export function keysOfFile(file: string): KeySource {
  const files = [file, announcedFile(file)];
  const mark = (): string => files.map((one) => statSync(one, { throwIfNoEntry: false, bigint: true })).map((stat) => (stat ? `${stat.ino}:${stat.size}:${stat.mtimeNs}` : '')).join();
  const read = (): KeyRing => {
    const announced = statSync(announcedFile(file), { throwIfNoEntry: false }) ? parseMasterKeys(announcedFile(file), readFileSync(announcedFile(file))) : [];
    const [first, ...others] = parseMasterKeys(file, readFileSync(file));
    return keyRing([first, ...others, ...announced]);
  };
  let seen = mark();
  let ring = read();
  return {
    last: () => ring,
    now() {
      const current = mark();
      if (current === seen) return ring;
      try {
        ring = read();
        seen = current;
      } catch {
        // it is being copied: the keys of before still seal and open, and the next one who asks looks again
      }
      return ring;
    },
  };
}
