import { randomBytes } from 'node:crypto';
import { keyRing, keysOfFile, type KeyRing, type KeySource } from './key-ring.ts';
import { loadOrCreateMasterKeys } from './master-key.ts';
import { BOX_OVERHEAD, KEY_BYTES, openBox, sealBox } from './sealed-box.ts';

/** Something sealed, as it lies in a row. */
export interface Sealed {
  /** Which master key opens it. */
  keyId: string;
  /** A version byte, then what that version says: see FORMATS. */
  sealed: Uint8Array<ArrayBuffer>;
}

/** Keeps secrets in the database, for whoever has the master key and nobody else. */
export interface Secrets {
  /** The key that seals. */
  readonly keyId: string;
  /** `context` says what it belongs to, such as `volume:<id>`: moved to another row, it does not open. */
  seal(plaintext: Uint8Array, context: string): Sealed;
  /** Throws when it was sealed with another key or in another context, or has been changed. */
  open(sealed: Sealed, context: string): Buffer<ArrayBuffer>;
  /** The same for the key that seals now; itself where it is for that already. Throws as `open` does. */
  reseal(sealed: Sealed, context: string): Sealed;
  /** Opens a box without version, from before there were any. Throws when none of the keys opens it. */
  openBare(box: Uint8Array, context: string): Buffer<ArrayBuffer>;
}

/**
 * 1: a sealed box under the master key itself, which is still opened.
 * 2: a data key of its own, in a sealed box under the master key; then a sealed box under the data key. The master key seals nothing but
 *    keys: when it changes, these are all that is sealed again. The context is that of the second box alone, which another's data key
 *    does not open.
 */
const FORMATS = { masterKey: 1, dataKey: 2 } as const;

const DATA_KEY_CONTEXT = 'data key';
const WRAPPED_BYTES = KEY_BYTES + BOX_OVERHEAD;

/** With the master keys of that file, which is made, mode 0600, where there is none, and read again whenever it changes. */
export async function createSecrets(masterKeyFile: string): Promise<Secrets> {
  await loadOrCreateMasterKeys(masterKeyFile);
  return secretsFrom(keysOfFile(masterKeyFile));
}

/** The first key seals; the others open what they have sealed. Throws for a key of the wrong length. */
export function secretsOf(masterKey: Uint8Array, ...others: readonly Uint8Array[]): Secrets {
  const ring = keyRing([masterKey, ...others]);
  return secretsFrom({ now: () => ring, last: () => ring });
}

export function secretsFrom(keys: KeySource): Secrets {
  function masterKeyOf({ keyId }: Sealed): Uint8Array {
    const key = keys.last().byId.get(keyId) ?? keys.now().byId.get(keyId);
    if (key !== undefined) return key;
    throw new Error(`This was sealed with the key ${keyId}, and the master key is ${keys.last().newest.id}: is it the one that this database was made with?`);
  }

  const secrets: Secrets = {
    get keyId() {
      return keys.now().newest.id;
    },
    seal: (plaintext, context) => sealUnder(keys.now().newest, plaintext, context),
    open(box, context) {
      const masterKey = masterKeyOf(box);
      const [version, content] = [box.sealed[0], box.sealed.subarray(1)];
      if (version === FORMATS.masterKey) return openBox(masterKey, context, content);
      if (version !== FORMATS.dataKey) throw new Error(`This version of NovaCron knows no sealed boxes of version ${version}.`);
      return withDataKey(masterKey, content, (dataKey) => openBox(dataKey, context, content.subarray(WRAPPED_BYTES)));
    },
    reseal(box, context) {
      const { newest } = keys.now();
      if (box.sealed[0] === FORMATS.masterKey) {
        const plaintext = secrets.open(box, context);
        const again = sealUnder(newest, plaintext, context);
        plaintext.fill(0);
        return again;
      }
      if (box.keyId === newest.id) return box;
      secrets.open(box, context).fill(0); // what does not open is not to look as if it were for the new key
      const content = box.sealed.subarray(1);
      const wrapped = withDataKey(masterKeyOf(box), content, (dataKey) => sealBox(newest.key, DATA_KEY_CONTEXT, dataKey));
      return { keyId: newest.id, sealed: Buffer.concat([Buffer.of(FORMATS.dataKey), wrapped, content.subarray(WRAPPED_BYTES)]) };
    },
    openBare(box, context) {
      for (const key of keys.now().byId.values()) {
        try {
          return openBox(key, context, box);
        } catch {
          // another key's, perhaps
        }
      }
      throw new Error('No master key opens this: is it the one that this database was made with?');
    },
  };
  return secrets;
}

function sealUnder({ id, key }: KeyRing['newest'], plaintext: Uint8Array, context: string): Sealed {
  const dataKey = randomBytes(KEY_BYTES);
  const sealed = Buffer.concat([Buffer.of(FORMATS.dataKey), sealBox(key, DATA_KEY_CONTEXT, dataKey), sealBox(dataKey, context, plaintext)]);
  dataKey.fill(0);
  return { keyId: id, sealed };
}

function withDataKey<Result>(masterKey: Uint8Array, content: Uint8Array, use: (dataKey: Uint8Array) => Result): Result {
  const dataKey = openBox(masterKey, DATA_KEY_CONTEXT, content.subarray(0, WRAPPED_BYTES));
  try {
    return use(dataKey);
  } finally {
    dataKey.fill(0);
  }
}
