import { expect, test } from 'vitest';
import { eventually } from './eventually.ts';

test('returns what the look finds, once it finds something', async () => {
  let looks = 0;
  const look = (): string | undefined => ((looks += 1) < 3 ? undefined : 'there');
  expect(await eventually('something', look, { intervalMs: 1 })).toBe('there');
  expect(looks).toBe(3);
});

test('takes zero and the empty string for findings', async () => {
  expect(await eventually('a number', () => 0)).toBe(0);
  expect(await eventually('a text', () => '')).toBe('');
});

test('says what it waited for and what the last look found', async () => {
  const waited = eventually('the moon', () => false, { timeoutMs: 30, intervalMs: 5 });
  await expect(waited).rejects.toThrow('Waited 30 ms for the moon; the last look found false.');
});

test('keeps looking while the look throws, and tells the last reason', async () => {
  const look = (): never => {
    throw new Error('cloudy');
  };
  const waited = eventually('the moon', look, { timeoutMs: 30, intervalMs: 5 });
  await expect(waited).rejects.toThrow('Waited 30 ms for the moon; the last look failed: cloudy.');
});

test('is not held up by a look that never returns', async () => {
  const waited = eventually('the moon', () => new Promise(() => {}), { timeoutMs: 30 });
  await expect(waited).rejects.toThrow('Waited 30 ms for the moon; no look has returned.');
});
