import { newId, type OperationId } from '@novacron/core';
import { eventually, startRedis, type TestRedis } from '@novacron/testkit';
import { Queue, type ConnectionOptions } from 'bullmq';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBells, type Bells } from '../src/index.ts';
import type { Bell } from '../src/kernel.ts';

let redis: TestRedis;
let bells: Bells;
const queues: Queue[] = [];
const warnings: string[] = [];
const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });

beforeEach(async () => {
  warnings.length = 0;
  redis = await startRedis();
});
afterEach(async () => {
  redis.thaw();
  await bells.close();
  await Promise.all(queues.splice(0).map((queue) => queue.close()));
  await redis.stop();
});

const bell = (more: Partial<Bell> = {}): Bell => ({
  operationId: newId<OperationId>(),
  service: 'vms',
  hostId: null,
  cursor: 0,
  attempt: 0,
  delayMs: 0,
  ...more,
});

/** What waits in a queue that nobody serves. */
function waitingIn(service: string): () => Promise<OperationId[]> {
  const queue = new Queue<{ operationId: OperationId }>(service, { connection: redis.options as ConnectionOptions }); // BullMQ's own declaration of ioredis
  queue.on('error', () => {});
  queues.push(queue);
  return async () => (await queue.getJobs(['waiting', 'delayed'])).map((job) => job.data.operationId);
}

/** Rings until one gets through, as the sweeper does. */
async function ringThrough(service: string, waiting: () => Promise<OperationId[]>): Promise<OperationId> {
  const through = bell({ service });
  await eventually('a bell that gets through', async () => {
    bells.ring(through);
    return (await waiting()).includes(through.operationId);
  });
  return through.operationId;
}

describe('bells without Redis', () => {
  it('are dropped before it was ever there, and said once', async () => {
    redis.kill();
    bells = createBells(redis.options, logger);
    for (let index = 0; index < 1_000; index += 1) bells.ring(bell());
    await redis.restart();
    const waiting = waitingIn('vms');
    const through = await ringThrough('vms', waiting);
    expect(await waiting()).toEqual([through]);
    expect(warnings).toHaveLength(1);
  });

  it('are dropped while it is frozen, and ring again afterwards, in new queues as well', async () => {
    bells = createBells(redis.options, logger);
    const [waiting, waitingInNew] = [waitingIn('vms'), waitingIn('storage')];
    await ringThrough('vms', waiting);
    warnings.length = 0;

    redis.freeze();
    bells.ring(bell()); // nobody knows yet
    bells.ring(bell({ service: 'storage' }));
    await eventually('the outage noticed', () => warnings.length > 0, { timeoutMs: 4_000 });
    const dropped = Array.from({ length: 1_000 }, () => bell());
    for (const each of dropped) bells.ring(each);

    redis.thaw();
    await ringThrough('vms', waiting);
    await ringThrough('storage', waitingInNew);
    const rung = new Set(await waiting());
    expect(dropped.filter((each) => rung.has(each.operationId))).toEqual([]);
  });
});

describe('the bell of a try', () => {
  it('is one, however often it is rung; one for now is not swallowed by one that waits', async () => {
    bells = createBells(redis.options, logger);
    const waiting = waitingIn('vms');
    const first = await ringThrough('vms', waiting);
    const retried = bell();
    for (let time = 0; time < 3; time += 1) {
      bells.ring({ ...retried, delayMs: 60_000 });
      bells.ring(retried); // cancelled meanwhile; the sweeper
    }
    bells.ring({ ...retried, attempt: 1 });
    await eventually('the last of them', async () => expect((await waiting()).filter((id) => id !== first)).toHaveLength(3));
  });
});
