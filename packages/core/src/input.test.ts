import { describe, expect, it } from 'vitest';
import { badInput, checkIdempotencyKey, checkName, checkText } from './input.ts';

const refusedWith = (field: string) => expect.objectContaining({ code: 'BAD_USER_INPUT', field });
/** What PostgreSQL, XML 1.0 or JSON can't hold. */
const UNPLAIN = ['a\nb', '\u0000', '\u007f', '\uffff', 'half \ud800'];

it('refuses with the field at fault', () => {
  expect(() => badInput('kernel.initrd', 'No.')).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'kernel.initrd', message: 'No.' }));
});

describe('a name', () => {
  it.each(['a', 'web-1', '0', 'a'.repeat(63)])('is %s', (name) => expect(checkName(name)).toBe(name));
  it.each(['', 'A', '-a', 'a-', 'a_b', 'a.b', 'ä', 'a'.repeat(64), '<img>', 'a\n'])('is not %j', (name) =>
    expect(() => checkName(name)).toThrow(refusedWith('name')));
});

describe('a text', () => {
  it.each(['', 'Größe 💾', 'x'.repeat(16)])('is %s', (text) => expect(checkText(text, 'tier', 16)).toBe(text));
  it.each([...UNPLAIN, 'x'.repeat(17)])('is not %j', (text) => expect(() => checkText(text, 'tier', 16)).toThrow(refusedWith('tier')));
});

describe('an idempotency key', () => {
  it.each(['k', '8f6b2c1e-0000-4000-8000-00000000abcd', 'x'.repeat(255)])('is %s', (key) => expect(checkIdempotencyKey(key)).toBe(key));
  it.each([...UNPLAIN, '', 'x'.repeat(256)])('is not %j', (key) => expect(() => checkIdempotencyKey(key)).toThrow(refusedWith('idempotencyKey')));
});
