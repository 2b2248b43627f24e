import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** AES-256-GCM under a key: nonce, tag, ciphertext. What is sealed in one context opens in no other. */

const NONCE_BYTES = 12; // NIST SP 800-38D, 8.2.1
const TAG_BYTES = 16;
export const KEY_BYTES = 32;
/** By so much a box is longer than what is in it. */
export const BOX_OVERHEAD = NONCE_BYTES + TAG_BYTES;

export function checkMasterKey(masterKey: Uint8Array): void {
  if (masterKey.length !== KEY_BYTES) throw new Error(`The master key has ${masterKey.length} bytes instead of ${KEY_BYTES}.`);
}

export function sealBox(key: Uint8Array, context: string, plaintext: Uint8Array): Buffer<ArrayBuffer> {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  const text = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), text]);
}

/** Throws when it was sealed under another key or in another context, or has been changed. */
export function openBox(key: Uint8Array, context: string, sealed: Uint8Array): Buffer<ArrayBuffer> {
  const [nonce, tag, text] = [
    sealed.subarray(0, NONCE_BYTES),
    sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES),
    sealed.subarray(NONCE_BYTES + TAG_BYTES),
  ];
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context)).setAuthTag(tag);
  return Buffer.concat([decipher.update(text), decipher.final()]);
}
