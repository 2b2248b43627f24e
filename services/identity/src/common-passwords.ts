import { dictionary } from '@zxcvbn-ts/language-common';

/** The passwords that people choose, and guessers try first: no clock, no database. */

/** Shorter ones are no passwords, nor the greater part of one. */
const MIN_LENGTH = 6;
const COMMON: ReadonlySet<string> = new Set(dictionary['passwords-common'].filter((password) => password.length >= MIN_LENGTH));
/** Of a name, what would be found in any text counts for nothing. */
const OWN_MIN_LENGTH = 3;

const isListed = (text: string): boolean => COMMON.has(text) || COMMON.has(text.replaceAll(/^[^\p{L}]+|[^\p{L}]+$/gu, ''));

/**
 * True for a password that is on the list, whatever its case and whatever digits and signs stand around it; and for one that is hardly
 * more than `own`: the account's address and names.
 */
export function isCommon(password: string, own: readonly string[], minLength: number): boolean {
  const text = password.normalize('NFKC').toLowerCase();
  const words = own
    .flatMap((name) => [name, ...name.split(/[\s@]+/)])
    .map((word) => word.normalize('NFKC').toLowerCase())
    .filter((word) => word.length >= OWN_MIN_LENGTH);
  const rest = words.toSorted((one, other) => other.length - one.length).reduce((left, word) => left.replaceAll(word, ''), text);
  return isListed(text) || (rest !== text && (rest.length < minLength || isListed(rest)));
}
