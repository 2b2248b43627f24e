import { describe, expect, it } from 'vitest';
import { newId, type UserId } from '@novacron/core';
import { backupCodeHash, newBackupCodes } from './backup-codes.ts';
import { waitMsAfter } from './patience.ts';

const user = newId<UserId>();

describe('backup codes', () => {
  it('are ten, and never the same', () => {
    const [one, two] = [newBackupCodes(), newBackupCodes()];
    expect(new Set([...one, ...two]).size).toBe(20);
    for (const code of one) expect(code).toMatch(/^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}$/);
  });

  it.each(['0123-4567-89ab-cdef', '0123456789ABCDEF', ' o123 4567 89ab cdef ', 'Oi23-4567-89AB-CDEF', 'oL23456789abcdef'])('may be typed as %j', (typed) => {
    expect(backupCodeHash(user, typed)).toEqual(backupCodeHash(user, '0123-4567-89ab-cdef'));
  });

  it.each(['', '123456', '0123-4567-89ab-cde', '0123-4567-89ab-cdefg', '0123-4567-89ab-cdeu', '0123-4567-89ab-cd\u0000f', 'é123-4567-89ab-cdef'])('are never %j', (typed) => {
    expect(backupCodeHash(user, typed)).toBeNull();
  });

  it('are stored as another hash for each user', () => {
    expect(backupCodeHash(user, '0123-4567-89ab-cdef')).not.toEqual(backupCodeHash(newId<UserId>(), '0123-4567-89ab-cdef'));
  });
});

describe('after wrong codes', () => {
  it.each([
    [0, 0],
    [4, 0],
    [5, 30_000],
    [6, 60_000],
    [11, 1_920_000],
    [12, 3_600_000],
    [5_000, 3_600_000],
  ])('%i in a row, none is looked at for %i ms', (failures, waitMs) => expect(waitMsAfter(failures)).toBe(waitMs));
});
