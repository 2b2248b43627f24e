import { expect, it } from 'vitest';
import { OrderedPipeline } from './pipeline.ts';

/** A pipeline whose jobs end when the test says so. */
function controlled(limits: { concurrency: number; capacity: number }) {
  const running = new Map<number, () => void>();
  const out: number[] = [];
  const pipeline = new OrderedPipeline<number, number>(
    (job) => {
      const { promise, resolve } = Promise.withResolvers<number>();
      running.set(job, () => resolve(job));
      return promise;
    },
    (result) => out.push(result),
    limits,
  );
  const finish = async (job: number) => {
    running.get(job)?.();
    await new Promise(setImmediate);
  };
  return { pipeline, running, out, finish };
}

it('hands results over in the order of the jobs, whichever ends first', async () => {
  const { pipeline, out, finish } = controlled({ concurrency: 3, capacity: 10 });
  for (const job of [1, 2, 3]) pipeline.push(job);
  await finish(3);
  await finish(2);
  expect(out).toEqual([]);
  await finish(1);
  expect(out).toEqual([1, 2, 3]);
  expect(pipeline.pending).toBe(0);
});

it('runs no more at once than it may, and refuses what does not fit', async () => {
  const { pipeline, running, finish, out } = controlled({ concurrency: 2, capacity: 3 });
  expect([1, 2, 3, 4].map((job) => pipeline.push(job))).toEqual([true, true, true, false]);
  expect([...running.keys()]).toEqual([1, 2]);
  await finish(2); // 1 still holds its place in the order, but no longer both places in the run
  expect([...running.keys()]).toEqual([1, 2, 3]);
  await finish(1);
  await finish(3);
  expect(out).toEqual([1, 2, 3]);
});
