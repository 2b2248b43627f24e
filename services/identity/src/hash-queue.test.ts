import { describe, expect, it } from 'vitest';
import { createHashQueue } from './hash-queue.ts';

/** A queue whose works take as long as they are told to. */
function queueOf(hashMs: number) {
  let at = 0;
  const { inTurn, requireRoom } = createHashQueue(() => at);
  let running = 0;
  let most = 0;
  const done: number[] = [];
  const ask = (name: number, hashes = 1) =>
    inTurn(hashes, async () => {
      most = Math.max(most, (running += 1));
      await Promise.resolve();
      at += hashMs * hashes;
      running -= 1;
      done.push(name);
      return name;
    });
  return { ask, requireRoom, done, most: () => most };
}

const outcomes = async (asked: Promise<unknown>[]) => (await Promise.allSettled(asked)).map((one) => (one.status === 'fulfilled' ? 'done' : one.reason.code));

describe('the queue of hashes', () => {
  it('makes one at a time, in the order in which they were asked for', async () => {
    const { ask, done, most } = queueOf(10);
    await Promise.all([1, 2, 3, 4, 5].map((name) => ask(name)));
    expect([done, most()]).toEqual([[1, 2, 3, 4, 5], 1]);
  });

  it('refuses whoever would wait for more than 2 s, and says how long', async () => {
    const { ask, requireRoom } = queueOf(100);
    for (let count = 0; count < 50; count += 1) await ask(count); // it has learnt what one takes
    const asked = Array.from({ length: 30 }, (_, name) => ask(name));
    expect(await outcomes(asked)).toEqual([...Array(21).fill('done'), ...Array(9).fill('RATE_LIMITED')]);
    const flood = Array.from({ length: 25 }, (_, name) => ask(name));
    const settled = Promise.allSettled(flood);
    expect(requireRoom).toThrow('try again in');
    await expect(flood.at(-1)).rejects.toMatchObject({ retryable: true, message: expect.stringMatching(/try again in [23] s\.$/) });
    await settled;
    expect(requireRoom).not.toThrow();
    expect(await ask(0)).toBe(0);
  });

  it('counts hashes, not those who ask', async () => {
    const { ask } = queueOf(100);
    for (let count = 0; count < 50; count += 1) await ask(count, 2);
    expect((await outcomes(Array.from({ length: 15 }, (_, name) => ask(name, 2)))).filter((one) => one === 'done')).toHaveLength(11);
  });

  it('goes on after a failure', async () => {
    const { inTurn } = createHashQueue(() => 0);
    const failed = inTurn(1, () => Promise.reject(new Error('no memory')));
    const next = inTurn(1, () => Promise.resolve('next'));
    await expect(failed).rejects.toThrow('no memory');
    expect(await next).toBe('next');
  });
});
