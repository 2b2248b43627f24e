import { createHash, randomInt } from 'node:crypto';
import type { UserId } from '@novacron/core';

/** Codes for who has lost its authenticator: each is good once. */

export const BACKUP_CODES = 10;
/** Without i, l, o and u: https://www.crockford.com/base32.html */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
/** 80 bits: they are guessed neither here nor from their hashes, which thus need neither salt nor cost. */
const SYMBOLS = 16;
const GROUP = /.{4}(?=.)/g;

/** Such as "7f3k-09ab-xq2c-tm5d"; no two alike. */
export function newBackupCodes(): string[] {
  const codes = new Set<string>();
  while (codes.size < BACKUP_CODES) codes.add(newCode());
  return [...codes];
}

const newCode = (): string => Array.from({ length: SYMBOLS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('').replaceAll(GROUP, '$&-');

/** What is stored of a code; null for what can't be one. Case, spaces and dashes don't matter, and o is a zero. */
export function backupCodeHash(userId: UserId, code: string): Buffer<ArrayBuffer> | null {
  const symbols = code.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1');
  if (symbols.length !== SYMBOLS || [...symbols].some((symbol) => !ALPHABET.includes(symbol))) return null;
  return createHash('sha256').update(`${userId}:${symbols}`).digest();
}
