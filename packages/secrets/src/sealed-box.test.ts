import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkMasterKey, openBox, sealBox } from './sealed-box.ts';

const seal = (key: Uint8Array, name: string, text: string) => sealBox(key, name, Buffer.from(text));
const unseal = (key: Uint8Array, name: string, box: Uint8Array) => openBox(key, name, box).toString();

describe('a sealed box', () => {
  const key = randomBytes(32);

  it('opens with its key and name', () => {
    expect(unseal(key, 'a', seal(key, 'a', 'täxt'))).toBe('täxt');
    expect(unseal(key, '', seal(key, '', ''))).toBe('');
  });

  it('is another one every time', () => expect(seal(key, 'a', 'text')).not.toEqual(seal(key, 'a', 'text')));

  it('opens with nothing else', () => {
    const box = seal(key, 'a', 'text');
    expect(() => unseal(randomBytes(32), 'a', box)).toThrow('authenticate');
    expect(() => unseal(key, 'b', box)).toThrow('authenticate');
    expect(() => unseal(key, 'a', box.subarray(0, 20))).toThrow('authentication tag');
    for (let at = 0; at < box.length; at += 1) {
      const changed = Buffer.from(box);
      changed[at] = changed[at]! ^ 1; // within its length
      expect(() => unseal(key, 'a', changed)).toThrow('authenticate');
    }
  });

  it.each([0, 16, 31, 33])('wants no master key of %i bytes', (length) => {
    expect(() => checkMasterKey(Buffer.alloc(length))).toThrow('32');
  });
});
