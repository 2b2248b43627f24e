import { DomainError } from './errors.ts';

/** What every service asks of the names, texts and keys that clients send: pure. */

/** Characters of an idempotency key. */
const MOST_KEY = 255;
/** As a label of a host name (RFC 1123): what a guest may be called, too. */
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Refuses what a client sent: BAD_USER_INPUT, with the field at fault. */
export function badInput(field: string, message: string): never {
  throw new DomainError('BAD_USER_INPUT', message, { field });
}

export const isName = (text: string): boolean => NAME.test(text);

export const checkName = (name: string, field = 'name'): string =>
  isName(name) ? name : badInput(field, 'A name is 1-63 of a-z, 0-9 and -, and neither begins nor ends with -.');

/** Text that PostgreSQL, XML 1.0 and JSON all can hold: well-formed, without control characters. */
// oxlint-disable-next-line no-control-regex -- they are what it is about
const isPlain = (text: string): boolean => text.isWellFormed() && !/[\u0000-\u001f\u007f\ufffe\uffff]/.test(text);

/** A text of at most so many characters (UTF-16 code units) that can be stored and shown anywhere. */
export function checkText(text: string, field: string, most: number): string {
  if (text.length > most) badInput(field, `This has at most ${most} characters.`);
  return isPlain(text) ? text : badInput(field, 'This text has characters that can not be stored: control characters, or half of one.');
}

export const checkIdempotencyKey = (key: string): string =>
  key.length >= 1 && key.length <= MOST_KEY && isPlain(key) ? key : badInput('idempotencyKey', `An idempotency key has 1 to ${MOST_KEY} characters, none of them a control character.`);
