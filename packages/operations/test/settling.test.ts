import { DomainError } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { requestCancel } from '../src/index.ts';
import { startSweeper, type Sweeper } from '../src/sweeper.ts';
import { sqlOf, startToyService, type ToyService, type ToyStep } from './toy-service.ts';

/** Operations that have passed, or may have passed, their point of no return. */

let service: ToyService;
let sweeper: Sweeper;
const log: string[] = [];

beforeAll(async () => {
  service = await startToyService();
  sweeper = startSweeper({ sql: sqlOf(service.operations), bells: service.bells, logger: pino({ level: 'silent' }), intervalMs: 200 });
});
afterAll(async () => {
  await sweeper.close();
  await service.close();
});
beforeEach(() => {
  log.length = 0;
});

const make = (name: string, more: Partial<ToyStep> = {}): ToyStep => ({
  name: `vms.${name}`,
  undoable: true,
  run: async (_run, { key }) => void log.push(`do ${key}`),
  undo: async (_run, { key }) => void log.push(`undo ${key}`),
  ...more,
});

const cancel = (id: Parameters<typeof requestCancel>[1]) => requestCancel(sqlOf(service.operations), id);

describe('a step that settles', () => {
  it('done by the mutation, leaves nothing to cancel, before any worker has come to it', async () => {
    const [hold, rest] = [make('hold', { settles: true }), make('rest')];
    const id = await service.begin([rest], { done: [hold] });
    expect(await service.operation(id)).toMatchObject({ state: 'QUEUED', cancellable: false });
    await expect(cancel(id)).rejects.toMatchObject({ code: 'INVALID_STATE' });
    const worker = service.work([hold, rest]);
    expect(await service.ended(id)).toMatchObject({ state: 'SUCCEEDED' });
    expect(log).toEqual(['do vms.rest']);
    await worker.close();
  });

  it('is not followed by a way back: what fails after it is tried again', async () => {
    let failures = 2;
    const steps = [
      make('settles', { settles: true }),
      make('fails', {
        run: async () => {
          if ((failures -= 1) >= 0) throw new DomainError('INTERNAL', 'Not yet.', { retryable: failures === 1 });
        },
      }),
    ];
    const worker = service.work(steps);
    const id = await service.begin(steps);
    expect(await service.ended(id)).toMatchObject({ state: 'SUCCEEDED', error: null });
    expect(log).toEqual(['do vms.settles']);
    await worker.close();
  });

  it('that succeeds although it was to be cancelled goes on, and one that gives up goes back', async () => {
    for (const succeeds of [true, false]) {
      log.length = 0;
      const cancelled = Promise.withResolvers<void>();
      const steps = [
        make('first'),
        make('settles', {
          settles: true,
          async run(run) {
            await new Promise<void>((resolve) => run.signal.addEventListener('abort', () => resolve()));
            cancelled.resolve();
            if (!succeeds) throw run.signal.reason;
          },
        }),
        make('last'),
      ];
      const worker = service.work(steps);
      const id = await service.begin(steps);
      await eventually('the step', async () => expect((await service.steps(id))[1]?.state).toBe('RUNNING'));
      await cancel(id);
      await cancelled.promise;
      expect(await service.ended(id)).toMatchObject({ state: succeeds ? 'SUCCEEDED' : 'CANCELLED', error: null });
      expect(log).toEqual(['do vms.first', ...(succeeds ? ['do vms.last'] : ['undo vms.settles', 'undo vms.first'])]);
      await worker.close();
    }
  });

  it('is asked itself whether it was passed, when it was cancelled while its worker was lost', async () => {
    const started = Promise.withResolvers<void>();
    const settles = make('settles', {
      settles: true,
      run: () => {
        started.resolve();
        return new Promise(() => {});
      },
    });
    const lost = service.work([settles]);
    const id = await service.begin([settles]);
    await started.promise;
    await lost.close({ force: true });
    await cancel(id);
    expect((await service.operation(id)).state).toBe('CANCELLING');
    const owner = new pg.Client({ connectionString: service.database.url });
    await owner.connect();
    await owner.query("UPDATE operations.step SET claimed_until = now() - interval '1 second' WHERE operation_id = $1", [id]);
    await owner.end();
    const worker = service.work([make('settles', { settles: true })]);
    expect(await service.ended(id)).toMatchObject({ state: 'SUCCEEDED', error: null });
    expect(log).toEqual(['do vms.settles']);
    await worker.close();
  });
});
