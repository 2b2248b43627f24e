import { describe, expect, it } from 'vitest';
import { isCommon } from './common-passwords.ts';

const OWN = ['ada.lovelace@example.org', 'Ada Lovelace', 'countess'];

describe('a common password', () => {
  it.each(['password', 'PassWord', 'password123', '!Sunshine-99', 'qwertyuiop', '12345678', 'ｐａｓｓｗｏｒｄ'])('%j is one', (text) => expect(isCommon(text, OWN, 8)).toBe(true));
  it.each(['ada.lovelace@example.org', 'AdaLovelace', 'lovelace1815', 'Countess!', 'ada12345678', 'adapassword'])("%j is the account's own name", (text) => expect(isCommon(text, OWN, 8)).toBe(true));
  it.each(['correct horse battery', 'a password for tests', 'Lovelace wrote the first one', 'xk2vq8pz', ' '.repeat(8)])('%j is none', (text) => expect(isCommon(text, OWN, 8)).toBe(false));
});
