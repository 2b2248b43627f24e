import { expect, it } from 'vitest';
import { decodeCursor, encodeCursor } from './cursor.ts';

it.each([0, 1, 4711, Number.MAX_SAFE_INTEGER])('brings %d back', (position) => {
  expect(decodeCursor(encodeCursor(position))).toBe(position);
});

it.each(['', 'e1', 'x', encodeCursor(1).slice(0, -1), `${encodeCursor(1)}=`, Buffer.from('e01').toString('base64url'), Buffer.from('e99999999999999999').toString('base64url')])(
  'refuses "%s"',
  (text) => {
    expect(() => decodeCursor(text)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'after' }));
  },
);
