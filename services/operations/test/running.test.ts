import { newId, type OperationId } from '@novacron/core';
import { createBells, startWorker, type Sql } from '@novacron/operations';
import { eventually } from '@novacron/testkit';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startOperations, type TestOperations } from './operations.ts';

/** What a started service does by itself. */

const logger = pino({ level: 'silent' });
let operations: TestOperations;

beforeEach(async () => {
  operations = await startOperations();
});
afterEach(() => operations?.close());

const ended = async (daysAgo: number): Promise<OperationId> => {
  const id = await operations.submit();
  await operations.succeed(id);
  await operations.sql('UPDATE operations.operation SET finished_at = now() - $2::interval WHERE id = $1', [id, `${daysAgo} days`]);
  return id;
};
const kept = async (): Promise<string[]> => (await operations.sql('SELECT id FROM operations.operation ORDER BY id')).map((row) => row['id']);
/** An event that was put in order that long ago. */
const event = (position: number, daysAgo: number) =>
  operations.sql(`INSERT INTO operations.event_log (position, type, entity_id, body, at) VALUES ($1, 'vm.changed', $2, '{}', now() - $3::interval)`, [
    position,
    newId(),
    `${daysAgo} days`,
  ]);
const positions = async (): Promise<number[]> =>
  (await operations.sql('SELECT position FROM operations.event_log ORDER BY position')).map((row) => Number(row['position']));

it('puts events in order, and rings for what nobody rang for', async () => {
  operations.service.start();
  operations.service.start(); // does nothing more
  const id = await operations.submit();
  await eventually('the event in the log', async () =>
    expect(await operations.sql('SELECT type FROM operations.event_log WHERE entity_id = $1', [id])).toEqual([{ type: 'operation.changed' }]),
  );
  const bells = createBells(operations.redis.options, logger);
  const worker = startWorker<Sql>({
    service: 'vms',
    host: null,
    steps: [{ name: 'vms.start', undoable: true, run: async () => undefined }],
    sql: operations.vms,
    transaction: operations.transaction,
    bells,
    redis: operations.redis.options,
    logger,
  });
  const state = () => operations.sql('SELECT state FROM operations.operation WHERE id = $1', [id]);
  await eventually('the end of the operation', async () => expect(await state()).toEqual([{ state: 'SUCCEEDED' }]), { timeoutMs: 20_000 });
  await worker.close();
  await bells.close();
});

it('throws away events after 7 days, and operations 30 days after their end', async () => {
  const old = await ended(31);
  const young = await ended(29);
  const waiting = await operations.submit();
  await operations.sql("UPDATE operations.operation SET created_at = now() - interval '1 year' WHERE id = $1", [waiting]);
  await operations.sql('DELETE FROM operations.outbox'); // else they would get positions of those below
  await operations.sql('UPDATE operations.event_head SET head = 3');
  await Promise.all([event(1, 8), event(2, 7.01), event(3, 6.99)]);

  operations.service.start();
  await eventually('the end of the old operation', async () => !(await kept()).includes(old));
  expect(await kept()).toEqual([young, waiting]);
  expect(await operations.sql('SELECT FROM operations.step WHERE operation_id = $1', [old])).toEqual([]);
  await eventually('the end of the old events', async () => (await positions()).length === 1);
  expect(await positions()).toEqual([3]);
  expect((await operations.sql('SELECT trimmed FROM operations.event_head'))[0]).toEqual({ trimmed: '2' });
});

it('goes on doing so, at the times it is told', async () => {
  const service = operations.another({ retention: { intervalMs: 20, keepOperationsMs: 3_600_000 } });
  service.start();
  for (const _ of [1, 2]) {
    await ended(1);
    await eventually('the end of the operation', async () => expect(await kept()).toEqual([]));
  }
});

it('closes before it has started, and in the middle', async () => {
  const [idle, busy] = [operations.another({}), operations.another({ retention: { intervalMs: 1 } })];
  await expect(idle.close()).resolves.toBeUndefined();
  busy.start();
  await expect(busy.close()).resolves.toBeUndefined();
  await expect(busy.close()).resolves.toBeUndefined();
});
