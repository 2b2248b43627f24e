import { createHash } from 'node:crypto';
import { loadOrCreateMasterKey } from './master-key.ts';
import { checkMasterKey, openBox, sealBox } from './sealed-box.ts';

/** Something sealed, as it lies in a row. */
export interface Sealed {
  /** Which key it was sealed with. */
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
}

/** 1: a sealed box under the master key itself. A later version may hold a data key of its own, sealed under the master's. */
const FORMATS = { masterKey: 1 } as const;

/** Names a key without telling anything of it. */
const keyIdOf = (key: Uint8Array): string => createHash('sha256').update('novacron key id\0').update(key).digest('hex').slice(0, 16);

/** With the master key of that file, which is made, mode 0600, where there is none. */
export const createSecrets = async (masterKeyFile: string): Promise<Secrets> => secretsOf(await loadOrCreateMasterKey(masterKeyFile));

export function secretsOf(masterKey: Uint8Array): Secrets {
  checkMasterKey(masterKey);
  const keyId = keyIdOf(masterKey);
  return {
    keyId,
    seal: (plaintext, context) => ({ keyId, sealed: Buffer.concat([Buffer.of(FORMATS.masterKey), sealBox(masterKey, context, plaintext)]) }),
    open(box, context) {
      if (box.keyId !== keyId) throw new Error(`This was sealed with the key ${box.keyId}, and the master key is ${keyId}: is it the one that this database was made with?`);
      if (box.sealed[0] !== FORMATS.masterKey) throw new Error(`This version of NovaCron knows no sealed boxes of version ${box.sealed[0]}.`);
      return openBox(masterKey, context, box.sealed.subarray(1));
    },
  };
}
