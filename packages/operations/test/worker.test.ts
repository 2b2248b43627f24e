import { DomainError, newId, type HostId } from '@novacron/core';
import { postgresPool } from '@novacron/database';
import { eventually } from '@novacron/testkit';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { requestCancel, type Sql } from '../src/index.ts';
import { startSweeper, type Sweeper } from '../src/sweeper.ts';
import { sqlOf, startToyService, type ToyService, type ToyStep } from './toy-service.ts';

let service: ToyService;
let sweeper: Sweeper;
/** The world outside: what steps have made and not undone. */
const world = new Set<string>();
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
  world.clear();
  log.length = 0;
});

const make = (name: string, more: Partial<ToyStep> = {}): ToyStep => ({
  name: `vms.${name}`,
  undoable: true,
  async run(_run, { key }) {
    log.push(`do ${key}`);
    world.add(key);
  },
  async undo(_run, { key }) {
    log.push(`undo ${key}`);
    world.delete(key);
  },
  ...more,
});

const fails = (error: Error, more: Partial<ToyStep> = {}) =>
  make('fails', {
    run: async () => {
      throw error;
    },
    ...more,
  });

describe('an operation', () => {
  it('does its steps in order and succeeds', async () => {
    const steps = [make('a'), make('b'), make('c')];
    const worker = service.work(steps);
    const id = await service.begin(steps);
    expect(await service.ended(id)).toMatchObject({ state: 'SUCCEEDED', progress: 1, error: null, cancellable: false });
    expect(log).toEqual(['do vms.a', 'do vms.b', 'do vms.c']);
    await worker.close();
  });

  it('undoes what was begun, newest first, when a step fails for good', async () => {
    const steps = [make('a'), make('quiet', { undoable: false }), make('b'), fails(new DomainError('NO_CAPACITY', 'Full.')), make('c')];
    const worker = service.work(steps);
    const id = await service.begin(steps);
    expect(await service.ended(id)).toMatchObject({ state: 'FAILED', error: { code: 'NO_CAPACITY', message: 'Full.' } });
    expect(log).toEqual(['do vms.a', 'do vms.quiet', 'do vms.b', 'undo vms.fails', 'undo vms.b', 'undo vms.a']);
    await worker.close();
  });

  it('tries a step again when that can help, and says nothing of it once it has', async () => {
    let tries = 0;
    const steps = [
      make('a', {
        run: async () => {
          tries += 1;
          if (tries < 3) throw new DomainError('UNAVAILABLE', 'Not now.');
        },
      }),
    ];
    const worker = service.work(steps);
    const id = await service.begin(steps);
    expect(await service.ended(id)).toMatchObject({ state: 'SUCCEEDED', error: null });
    expect(tries).toBe(3);
    await worker.close();
  });

  it('keeps the text of an unforeseen error inside', async () => {
    const steps = [fails(new Error('password=hunter2'))];
    const worker = service.work(steps);
    const id = await service.begin(steps);
    const { error } = await service.ended(id);
    expect(error?.code).toBe('INTERNAL');
    expect(JSON.stringify(error)).not.toContain('hunter2');
    await worker.close();
  });

  it('tries an undo again until it works', async () => {
    let tries = 0;
    const steps = [
      make('a', {
        undo: async () => {
          tries += 1;
          if (tries < 3) throw new Error('not yet');
        },
      }),
      fails(new DomainError('CONFLICT', 'No.')),
    ];
    const worker = service.work(steps);
    const id = await service.begin(steps);
    expect(await service.ended(id)).toMatchObject({ state: 'FAILED', error: { code: 'CONFLICT' } });
    expect(tries).toBe(3);
    await worker.close();
  });

  it('writes what a step commits together with the step, or not at all', async () => {
    let attempts = 0;
    const steps = [
      make('a', {
        commit: async (tx: Sql) => {
          attempts += 1;
          await tx.$queryRawUnsafe(`SELECT operations.emit('vm.changed', $1, NULL, '{"after": {}}')::text`, 'together');
          if (attempts === 1) throw new DomainError('UNAVAILABLE', 'Once more.');
        },
      }),
    ];
    const worker = service.work(steps);
    await service.ended(await service.begin(steps));
    const { rows } = await service.operations.query(`SELECT * FROM operations.sequence_events(1000) WHERE entity_id = 'together'`);
    expect(attempts).toBe(2);
    expect(rows).toHaveLength(1);
    await worker.close();
  });
});

describe('cancelling', () => {
  it('ends what is queued without doing anything', async () => {
    const steps = [make('a')];
    const id = await service.begin(steps, { ring: false });
    await requestCancel(sqlOf(service.operations), id);
    expect(await service.operation(id)).toMatchObject({ state: 'CANCELLED' });
    expect(log).toEqual([]);
  });

  it('interrupts the step in hand and undoes', async () => {
    const steps = [
      make('a'),
      make('waits', {
        run: (run) => new Promise((_resolve, reject) => run.signal.addEventListener('abort', () => reject(run.signal.reason as Error))),
      }),
    ];
    const worker = service.work(steps);
    const id = await service.begin(steps);
    await eventually('the second step', async () => expect((await service.steps(id))[1]?.state).toBe('RUNNING'));
    await requestCancel(sqlOf(service.operations), id);
    expect((await service.operation(id)).state).toBe('CANCELLING');
    expect(await service.ended(id)).toMatchObject({ state: 'CANCELLED', error: null });
    expect(log).toEqual(['do vms.a', 'undo vms.waits', 'undo vms.a']);
    await worker.close();
  });

  it('is refused after the end, and after the point of no return', async () => {
    const release = Promise.withResolvers<void>();
    const steps = [make('last', { final: true, run: () => release.promise })];
    const worker = service.work(steps);
    const id = await service.begin(steps);
    await eventually('the final step', async () => expect((await service.steps(id))[0]?.state).toBe('RUNNING'));
    await expect(requestCancel(sqlOf(service.operations), id)).rejects.toMatchObject({ code: 'INVALID_STATE' });
    release.resolve();
    await service.ended(id);
    await expect(requestCancel(sqlOf(service.operations), id)).rejects.toMatchObject({ code: 'INVALID_STATE', message: /ended/ });
    await worker.close();
  });
});

describe('accidents', () => {
  it('a lost bell is rung again by the sweeper', async () => {
    const steps = [make('a')];
    const worker = service.work(steps);
    const id = await service.begin(steps, { ring: false });
    expect(await service.ended(id)).toMatchObject({ state: 'SUCCEEDED' });
    await worker.close();
  });

  it('Redis wiped between the steps loses nothing', async () => {
    const steps = [make('a'), make('b', { run: async () => void (await service.redis.restart()) }), make('c')];
    const worker = service.work(steps);
    const id = await service.begin(steps);
    expect(await service.ended(id)).toMatchObject({ state: 'SUCCEEDED' });
    await worker.close();
  });

  it('a closed worker puts its step back for the next one', async () => {
    let tries = 0;
    const steps = [
      make('a', {
        run: (run) => {
          tries += 1;
          if (tries > 1) return Promise.resolve();
          return new Promise((_resolve, reject) => run.signal.addEventListener('abort', () => reject(run.signal.reason as Error)));
        },
      }),
    ];
    const first = service.work(steps);
    const id = await service.begin(steps);
    await eventually('the step in hand', () => expect(tries).toBe(1));
    await first.close();
    expect((await service.steps(id))[0]?.state).toBe('PENDING');
    const second = service.work(steps);
    expect(await service.ended(id)).toMatchObject({ state: 'SUCCEEDED' });
    await second.close();
  });

  /** A host whose lease passes from hand to hand; each hand gets its own epoch. */
  function makeHost() {
    const id = newId<HostId>();
    let holder = 0;
    return {
      id,
      async hold() {
        const agent = postgresPool(service.database.url, 'agent', 1);
        await agent.query('SELECT operations.release_host($1, $2)', [id, `agent ${holder}`]);
        holder += 1;
        const { rows } = await agent.query<{ epoch: string }>('SELECT operations.hold_host($1, $2, NULL, 60000) AS epoch', [id, `agent ${holder}`]);
        await agent.end();
        return { id, epoch: Number(rows[0]?.epoch) };
      },
    };
  }

  it("a dead agent's step is taken over at once under the next epoch, and what it still says is refused", async () => {
    const host = makeHost();
    const late = Promise.withResolvers<void>();
    let commits = 0;
    const hang: ToyStep = make('a', { run: () => late.promise, commit: async () => void (commits += 1) });
    const old = service.work([hang], await host.hold());
    const id = await service.begin([hang], { hostId: host.id });
    await eventually('the step in hand', async () => expect((await service.steps(id))[0]?.state).toBe('RUNNING'));

    const steps = [make('a', { commit: async () => void (commits += 10) })];
    const successor = service.work(steps, await host.hold());
    expect(await service.ended(id)).toMatchObject({ state: 'SUCCEEDED' });
    late.resolve();
    await Promise.all([old.close(), successor.close()]);
    expect(commits % 10).toBe(1); // it tried to, in a transaction that was refused
    expect(commits).toBe(11);
    expect((await service.steps(id))[0]).toMatchObject({ state: 'SUCCEEDED', attempt: 2 });
  });

  it('what is cancelled while its worker is lost goes back, not forward', async () => {
    const host = makeHost();
    let tries = 0;
    const hang: ToyStep = make('a', { run: () => ((tries += 1), new Promise(() => {})) });
    const first = service.work([hang], await host.hold());
    const id = await service.begin([hang], { hostId: host.id });
    await eventually('the step in hand', () => expect(tries).toBe(1));
    await first.close({ force: true });
    await requestCancel(sqlOf(service.operations), id);
    const second = service.work([hang], await host.hold());
    expect(await service.ended(id)).toMatchObject({ state: 'CANCELLED' });
    expect(tries).toBe(1);
    await second.close();
  });

  it('a step that is done is recorded when the database lets it, and not undone meanwhile', async () => {
    let commits = 0;
    const steps = [
      make('a', {
        commit: async () => {
          commits += 1;
          if (commits < 4) throw Object.assign(new Error('Transaction API error: Unable to start a transaction in the given time.'), { code: 'P2028' });
        },
      }),
    ];
    const worker = service.work(steps);
    expect(await service.ended(await service.begin(steps))).toMatchObject({ state: 'SUCCEEDED', error: null });
    expect(log).toEqual(['do vms.a']);
    await worker.close();
  });

  it('a fault of ours that stays ends the operation, undone', async () => {
    const steps = [make('a', { commit: () => Promise.reject(new TypeError('a bug')) })];
    const worker = service.work(steps);
    expect(await service.ended(await service.begin(steps))).toMatchObject({ state: 'FAILED', error: { code: 'INTERNAL' } });
    expect(log).toEqual(['do vms.a', 'undo vms.a']);
    await worker.close();
  });

  it('an undo knows whether its step has begun to act', async () => {
    const outputs: unknown[] = [];
    const undo: ToyStep['undo'] = async ({ claim }) => void outputs.push(claim.output);
    const looked = fails(new DomainError('CONFLICT', 'Only looked.'), { undo });
    const acted = make('acts', {
      run: async (run) => {
        await run.begin();
        throw new DomainError('CONFLICT', 'Acted.');
      },
      undo,
    });
    for (const step of [looked, acted]) {
      const worker = service.work([step]);
      await service.ended(await service.begin([step]));
      await worker.close();
    }
    expect(outputs).toEqual([null, { begun: true }]);
  });

  it('a step that must not be repeated fails the operation when its worker was lost', async () => {
    const host = makeHost();
    let tries = 0;
    const once = make('once', { repeatable: false, undoable: false, run: () => ((tries += 1), new Promise(() => {})) });
    const first = service.work([once], await host.hold());
    const id = await service.begin([once], { hostId: host.id });
    await eventually('the step in hand', () => expect(tries).toBe(1));
    await first.close({ force: true });
    service.work([once], await host.hold());
    expect(await service.ended(id)).toMatchObject({ state: 'FAILED', error: { code: 'UNAVAILABLE' } });
    expect(tries).toBe(1);
  });
});
