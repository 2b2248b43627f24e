import { graphql, type GraphQLError } from 'graphql';
import pg from 'pg';
import type { Role, Viewer } from '@novacron/contracts';
import { DomainError, newId, type ErrorRecord, type OperationId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { postgresPool } from '@novacron/database';
import { claimStep, failStep, plan, recordStep, submit, type Bell, type Claim, type NewOperation, type Sql } from '@novacron/operations';
import { migratedDatabase, startRedis, type TestRedis } from '@novacron/testkit';
import { createOperationsService, type OperationsOptions, type OperationsService } from '../src/service.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- answers have the shape of the test's own query
type Loose = Record<string, any>;

export interface Answer {
  data: Loose;
  /** The first error as its record; null without one. */
  error: ErrorRecord | null;
}

export interface Submitted {
  kind?: string;
  tenantId?: TenantId | null;
  targetId?: string;
  requestedBy?: UserId | null;
  /** Of their names; `final` ones are past the point of no return. */
  steps?: readonly { name: string; undoable?: boolean; final?: boolean; done?: boolean }[];
}

export interface TestOperations {
  service: OperationsService;
  databaseUrl: string;
  redis: TestRedis;
  /** Another process on the same database. */
  another(options: Partial<OperationsOptions>): OperationsService;
  /** Asks the subgraph as the viewer (null: nobody). */
  ask(viewer: Viewer | null, source: string, variables?: object): Promise<Answer>;
  /** The `_entities` of a type, as the gateway asks for them. */
  entities(viewer: Viewer | null, type: string, ids: readonly string[], selection: string): Promise<Answer>;
  /** An operation of the service vms, as vms makes it; its bell is not rung. */
  submit(operation?: Submitted): Promise<OperationId>;
  /** Takes the step at the operation's cursor as a worker of vms. */
  claim(id: OperationId): Promise<Claim>;
  /** Does the step at the cursor. */
  succeed(id: OperationId): Promise<void>;
  /** Fails the step at the cursor; it is tried again after `retryMs`, or not at all. */
  fail(id: OperationId, error?: ErrorRecord, retryMs?: number): Promise<void>;
  /** The kernel with the role of vms. */
  vms: Sql;
  /** A transaction with the role of vms. */
  transaction<T>(work: (tx: Sql) => Promise<T>): Promise<T>;
  /** Straight from the tables, as the owner. */
  sql(text: string, values?: unknown[]): Promise<Loose[]>;
  close(): Promise<void>;
}

export const FULL: ErrorRecord = { code: 'NO_CAPACITY', message: 'Full.', field: 'memory', retryable: false };

export async function startOperations(): Promise<TestOperations> {
  const [database, redis] = await Promise.all([migratedDatabase(), startRedis()]);
  const owner = new pg.Pool({ connectionString: database.url, max: 2 });
  const pool = postgresPool(database.url, 'vms', 4);
  const vms = sqlOf(pool);
  const services: OperationsService[] = [];
  const another = (options: Partial<OperationsOptions> = {}) => {
    const service = createOperationsService({ databaseUrl: database.url, redis: redis.options, ...options });
    services.push(service);
    return service;
  };
  const service = another();
  const claim = async (id: OperationId): Promise<Claim> => {
    const answer = await claimStep(vms, id, null, 'a worker', 60_000);
    if (!('claim' in answer)) throw new Error(`The step could not be claimed: ${JSON.stringify(answer)}`);
    return answer.claim;
  };
  return {
    service,
    databaseUrl: database.url,
    redis,
    another,
    ask: (viewer, source, variables = {}) => ask(service, viewer, source, variables),
    entities: (viewer, type, ids, selection) =>
      ask(service, viewer, `query ($r: [_Any!]!) { _entities(representations: $r) { ... on ${type} { ${selection} } } }`, {
        r: ids.map((id) => ({ __typename: type, id })),
      }),
    async submit(options = {}) {
      const { operation, steps } = newOperation(options);
      await submit(vms, operation, steps);
      return operation.id;
    },
    claim,
    succeed: async (id) => void (await recordStep(vms, await claim(id), null)),
    fail: async (id, error = FULL, retryMs) => void (await failStep(vms, await claim(id), error, retryMs ?? null)),
    vms,
    async transaction(work) {
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
    },
    sql: async (text, values = []) => (await owner.query<Loose>(text, values)).rows,
    async close() {
      await Promise.all(services.map((one) => one.close()));
      await Promise.all([owner.end(), pool.end()]);
      await redis.stop();
      await database.drop();
    },
  };
}

const sqlOf = (client: Pick<pg.Pool, 'query'>): Sql => ({
  $queryRawUnsafe: async <Rows>(query: string, ...values: unknown[]) => (await client.query(query, values)).rows as Rows,
});

function newOperation({ kind = 'vm.start', tenantId = null, targetId = newId(), requestedBy = null, steps = [{ name: 'vms.start' }] }: Submitted) {
  const operation: NewOperation = { id: newId(), kind, targetType: 'Vm', targetId, tenantId, requestedBy, requestId: 'test' };
  const planned = steps.map(({ undoable = true, done = false, ...step }) => plan({ undoable, ...step }, { secret: 'hunter2' }, { done }));
  return { operation, steps: planned };
}

/** Many at once, in one statement. */
export async function submitMany(operations: TestOperations, count: number, options: Submitted): Promise<OperationId[]> {
  const made = Array.from({ length: count }, () => newOperation(options));
  await operations.vms.$queryRawUnsafe<{ bell: Bell }[]>(
    `SELECT operations.submit(made -> 'operation', made -> 'steps') FROM jsonb_array_elements($1::jsonb) AS made`,
    JSON.stringify(made),
  );
  return made.map(({ operation }) => operation.id);
}

export const viewerWith = (...roles: [Role, TenantId][]): Viewer => ({
  userId: newId<UserId>(),
  sessionId: newId<SessionId>(),
  roles: roles.map(([role, tenantId]) => ({ role, tenantId })),
});

async function ask({ subgraph }: OperationsService, viewer: Viewer | null, source: string, variables: object): Promise<Answer> {
  const request = { viewer, requestId: 'test', address: '192.0.2.1', userAgent: null };
  const { data, errors } = await graphql({
    schema: subgraph.schema,
    source,
    variableValues: { ...variables },
    contextValue: subgraph.createContext(request),
  });
  return { data: data as Loose, error: recordOf(errors?.[0]) }; // the test names what it asked for
}

function recordOf(error: GraphQLError | undefined): ErrorRecord | null {
  if (error === undefined) return null;
  if (error.originalError instanceof DomainError) return error.originalError.toRecord();
  throw error; // a fault of the test's own query, or one of ours that no caller should see
}
