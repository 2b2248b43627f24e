import { newId, type HostId, type OperationId } from '@novacron/core';
import { postgresPool } from '@novacron/database';
import { eventually, migratedDatabase, startRedis, type TestDatabase, type TestRedis } from '@novacron/testkit';
import type pg from 'pg';
import { pino } from 'pino';
import { createBells, plan, startWorker, submit, type Bells, type OperationsWorker, type Sql, type Step } from '../src/index.ts';

export const sqlOf = (client: Pick<pg.Pool, 'query'>): Sql => ({
  $queryRawUnsafe: async <Rows>(query: string, ...values: unknown[]) => (await client.query(query, values)).rows as Rows,
});

export type ToyStep = Step<Sql, { key: string }, unknown, unknown>;

export interface OperationRow {
  state: string;
  error: { code: string; message: string } | null;
  progress: number;
  cancellable: boolean;
}

/** The smallest service that uses the engine: steps over a set of keys in memory, which stands for the world outside. */
export async function startToyService() {
  const database: TestDatabase = await migratedDatabase();
  const redis: TestRedis = await startRedis();
  const pool = postgresPool(database.url, 'vms', 8);
  const owner = postgresPool(database.url, 'operations', 4);
  const logger = pino({ level: process.env['NOVACRON_TEST_LOG'] ?? 'silent' });
  const bells: Bells = createBells(redis.options, logger);
  const workers = new Set<OperationsWorker>();

  const transaction = async <T>(work: (tx: Sql) => Promise<T>): Promise<T> => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const result = await work(sqlOf(client));
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  };

  return {
    database,
    redis,
    pool,
    operations: owner,
    sql: sqlOf(pool),
    bells,
    transaction,
    work(steps: readonly ToyStep[], host: { id: HostId; epoch: number } | null = null): OperationsWorker {
      const worker = startWorker<Sql>({ service: 'vms', host, steps, sql: sqlOf(pool), transaction, bells, redis: redis.options, logger });
      workers.add(worker);
      return worker;
    },
    /** Submits an operation of these steps and rings; `done`: steps before them, done by its own transaction. */
    async begin(steps: readonly ToyStep[], options: { hostId?: HostId; ring?: boolean; done?: readonly ToyStep[] } = {}): Promise<OperationId> {
      const id = newId<OperationId>();
      const at = options.hostId === undefined ? {} : { hostId: options.hostId };
      const bell = await transaction((tx) =>
        submit(
          tx,
          { id, kind: 'vm.toy', targetType: 'Vm', targetId: newId(), tenantId: null, requestedBy: null, requestId: null },
          [...(options.done ?? []).map((step) => plan(step, { key: step.name }, { done: true })), ...steps.map((step) => plan(step, { key: step.name }, at))],
        ),
      );
      if (options.ring !== false) bells.ring(bell);
      return id;
    },
    async operation(id: OperationId): Promise<OperationRow> {
      const { rows } = await owner.query<OperationRow>('SELECT * FROM operations.operation WHERE id = $1', [id]);
      const [row] = rows;
      if (!row) throw new Error(`There is no operation ${id}.`);
      return row;
    },
    async steps(id: OperationId): Promise<{ name: string; state: string; attempt: number }[]> {
      const { rows } = await owner.query('SELECT name, state, attempt FROM operations.step WHERE operation_id = $1 ORDER BY index', [id]);
      return rows as { name: string; state: string; attempt: number }[];
    },
    async ended(id: OperationId, timeoutMs = 20_000): Promise<OperationRow> {
      return eventually(`the end of operation ${id}`, async () => {
        const row = await this.operation(id);
        if (!['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(row.state)) throw new Error(`it is ${row.state}`);
        return row;
      }, { timeoutMs });
    },
    async close() {
      await Promise.all([...workers].map((worker) => worker.close({ force: true })));
      await bells.close();
      await Promise.all([pool.end(), owner.end()]);
      await redis.stop();
      await database.drop();
    },
  };
}

export type ToyService = Awaited<ReturnType<typeof startToyService>>;
