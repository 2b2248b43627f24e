import { newId, type OperationId, type TenantId } from '@novacron/core';
import { createBells, failStep, heartbeat, startWorker, type Sql, type Step } from '@novacron/operations';
import { eventually } from '@novacron/testkit';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOperations, viewerWith, type TestOperations } from './operations.ts';

const acme = newId<TenantId>();
const operator = viewerWith(['operator', acme]);
const logger = pino({ level: 'silent' });
let operations: TestOperations;

beforeAll(async () => {
  operations = await startOperations();
});
afterAll(() => operations?.close());

const cancel = async (id: string) => {
  const { data, error } = await operations.ask(operator, 'mutation ($id: ID!) { cancelOperation(id: $id) { id state cancellable finishedAt steps { name state } } }', { id });
  return { operation: data?.['cancelOperation'], error };
};
const rowOf = async (id: OperationId) => (await operations.sql('SELECT * FROM operations.operation WHERE id = $1', [id]))[0];

describe('cancelling', () => {
  it('ends what is queued at once', async () => {
    const id = await operations.submit({ tenantId: acme });
    expect(await cancel(id)).toEqual({
      operation: { id, state: 'CANCELLED', cancellable: false, finishedAt: expect.any(String), steps: [{ name: 'vms.start', state: 'QUEUED' }] },
      error: null,
    });
  });

  it('asks the worker that runs it to turn back, however often it is asked', async () => {
    const id = await operations.submit({ tenantId: acme });
    const claim = await operations.claim(id);
    expect((await cancel(id)).operation).toMatchObject({ state: 'CANCELLING', cancellable: false, finishedAt: null });
    const [before] = await operations.sql('SELECT cancel_requested_at FROM operations.operation WHERE id = $1', [id]);
    expect((await cancel(id)).operation).toMatchObject({ state: 'CANCELLING' });
    expect((await operations.sql('SELECT cancel_requested_at FROM operations.operation WHERE id = $1', [id]))[0]).toEqual(before);
    expect(await heartbeat(operations.vms, claim, 60_000, null)).toBe(true);
    await failStep(operations.vms, claim, null, null);
    await operations.succeed(id); // of the step's undo
    expect(await rowOf(id)).toMatchObject({ state: 'CANCELLED', error: null });
  });

  it('rings: what was begun is undone without waiting for the sweeper', async () => {
    const undone: string[] = [];
    const step = (name: string): Step<Sql, unknown, unknown, unknown> => ({
      name,
      undoable: true,
      run: async () => undefined,
      undo: async () => void undone.push(name),
    });
    const id = await operations.submit({ tenantId: acme, steps: [{ name: 'vms.a' }, { name: 'vms.b' }] });
    await operations.succeed(id);
    expect((await cancel(id)).operation).toMatchObject({ state: 'CANCELLING', steps: [{ state: 'SUCCEEDED' }, { state: 'QUEUED' }] });
    const bells = createBells(operations.redis.options, logger);
    const worker = startWorker<Sql>({
      service: 'vms',
      host: null,
      steps: [step('vms.a'), step('vms.b')],
      sql: operations.vms,
      transaction: operations.transaction,
      bells,
      redis: operations.redis.options,
      logger,
    });
    await eventually('the end of the operation', async () => (await rowOf(id))?.['state'] === 'CANCELLED');
    expect(undone).toEqual(['vms.a']);
    await worker.close();
    await bells.close();
  });

  it('works while Redis is away', async () => {
    operations.redis.kill();
    try {
      const id = await operations.submit({ tenantId: acme });
      expect(await cancel(id)).toMatchObject({ operation: { state: 'CANCELLED' }, error: null });
    } finally {
      await operations.redis.restart();
    }
  });
});

describe('is refused', () => {
  const submitOne = (step: { undoable?: boolean; final?: boolean } = {}) => operations.submit({ tenantId: acme, steps: [{ name: 'vms.a', ...step }] });

  it.each<[string, RegExp, () => Promise<OperationId>]>([
    ['after success', /already ended/, async () => {
      const id = await submitOne();
      await operations.succeed(id);
      return id;
    }],
    ['after failure', /already ended/, async () => {
      const id = await submitOne({ undoable: false });
      await operations.fail(id);
      return id;
    }],
    ['after it was cancelled', /already ended/, async () => {
      const id = await submitOne();
      await cancel(id);
      return id;
    }],
    ['while it turns back after a failure', /no longer/, async () => {
      const id = await submitOne();
      await operations.fail(id);
      return id;
    }],
    ['past the point of no return', /no longer/, async () => {
      const id = await submitOne({ final: true });
      await operations.claim(id);
      return id;
    }],
  ])('%s', async (_when, message, reach) => {
    const id = await reach();
    const before = await rowOf(id);
    expect((await operations.ask(operator, 'query ($id: ID!) { operation(id: $id) { cancellable } }', { id })).data).toEqual({ operation: { cancellable: false } });
    expect((await cancel(id)).error).toMatchObject({ code: 'INVALID_STATE', message: expect.stringMatching(message) });
    expect(await rowOf(id)).toEqual(before);
  });

  it.each(['', 'x', '\u0000', newId<string>()])('for %j, which there is not', async (id) => {
    expect((await cancel(id)).error).toMatchObject({ code: 'NOT_FOUND' });
  });
});
