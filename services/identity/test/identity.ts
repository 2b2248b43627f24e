import { randomBytes } from 'node:crypto';
import { graphql, type GraphQLError } from 'graphql';
import pg from 'pg';
import type { NewEvent, RequestContext, Viewer } from '@novacron/contracts';
import { DomainError, type ErrorRecord } from '@novacron/core';
import { redisOptions } from '@novacron/local';
import { connectRedis, redisReady } from '@novacron/redis';
import { secretsOf } from '@novacron/secrets';
import { migratedDatabase, startRedis, type TestRedis } from '@novacron/testkit';
import { createIdentityService, type IdentityOptions, type IdentityService } from '../src/service.ts';

export const ADMIN = { email: 'admin@example.org', password: 'correct horse battery' } as const;

// oxlint-disable-next-line typescript/no-explicit-any -- answers have the shape of the test's own query
type Loose = Record<string, any>;

/** A clock that moves when it is told to. */
export interface TestClock {
  now(): Date;
  advance(ms: number): void;
}

export function testClock(start = '2026-11-20T09:00:00.000Z'): TestClock {
  let at = Date.parse(start);
  return { now: () => new Date(at), advance: (ms) => void (at += ms) };
}

export interface Answer<Data> {
  data: Data;
  /** The first error as its record; null without one. */
  error: ErrorRecord | null;
}

type Origin = Partial<Omit<RequestContext, 'viewer'>> & { userAgent?: string };

export interface TestIdentity {
  service: IdentityService;
  clock: TestClock;
  databaseUrl: string;
  masterKey: Buffer;
  /** Another process on the same database. */
  another(options?: Partial<IdentityOptions>): IdentityService;
  /** Asks the subgraph as the viewer (null: nobody). */
  ask<Data = Loose>(viewer: Viewer | null, source: string, variables?: object, origin?: Origin): Promise<Answer<Data>>;
  /** Straight from the tables, as the owner. */
  sql<Row = Loose>(text: string, values?: unknown[]): Promise<Row[]>;
  /** The events that wait to be sequenced, in order. */
  events(): Promise<(Pick<NewEvent, 'type' | 'entityId' | 'tenantId'> & { body: object })[]>;
  redis: TestRedis;
  /** Forgets all that Redis knows. */
  flushRedis(): Promise<void>;
  close(): Promise<void>;
}

/** With `mail` (see mail.ts) the service also sends what it posts. */
export async function startIdentity(options: Partial<IdentityOptions> = {}): Promise<TestIdentity> {
  const [database, redis] = await Promise.all([migratedDatabase(), startRedis()]);
  const clock = testClock();
  const masterKey = randomBytes(32);
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  pool.on('error', () => {}); // of a connection that the database's end meets on its way out
  const services: IdentityService[] = [];
  const another = (more: Partial<IdentityOptions> = {}) => {
    const service = createIdentityService({ databaseUrl: database.url, secrets: secretsOf(masterKey), redis: redisOptions(redis.url), clock: clock.now, bootstrap: ADMIN, ...options, ...more });
    services.push(service);
    return service;
  };
  const service = another();
  if (options.mail) service.start();
  const sql = async <Row>(text: string, values: unknown[] = []) => (await pool.query(text, values)).rows as Row[];
  return {
    service,
    clock,
    databaseUrl: database.url,
    masterKey,
    another,
    redis,
    ask: (viewer, source, variables = {}, origin = {}) => ask(service, viewer, source, variables, origin),
    sql,
    events: () =>
      sql('SELECT type, entity_id AS "entityId", tenant_id AS "tenantId", body FROM operations.outbox ORDER BY id'),
    async flushRedis() {
      const connection = await redisReady(connectRedis(redisOptions(redis.url)));
      await connection.flushall();
      connection.disconnect();
    },
    async close() {
      await Promise.all(services.map((one) => one.close()));
      await pool.end();
      await Promise.all([database.drop(), redis.stop()]);
    },
  };
}

async function ask<Data>({ subgraph }: IdentityService, viewer: Viewer | null, source: string, variables: object, origin: Origin): Promise<Answer<Data>> {
  const request = { viewer, requestId: 'test', address: '192.0.2.1', userAgent: null, ...origin };
  const { data, errors } = await graphql({
    schema: subgraph.schema,
    source,
    variableValues: { ...variables },
    contextValue: subgraph.createContext(request),
  });
  return { data: data as Data, error: recordOf(errors?.[0]) }; // the test names what it asked for
}

function recordOf(error: GraphQLError | undefined): ErrorRecord | null {
  if (error === undefined) return null;
  if (error.originalError instanceof DomainError) return error.originalError.toRecord();
  throw error; // a fault of the test's own query, or one of ours that no caller should see
}

export const LOGIN = `mutation ($email: String!, $password: String!) {
  login(input: { email: $email, password: $password }) { accessToken refreshToken expiresAt secondFactorRequired user { id } }
}`;

export interface Tokens {
  accessToken: string;
  refreshToken: string;
  expiresAt: string;
}

/** Signs in through the graph. */
export async function login(identity: TestIdentity, credentials: { email: string; password: string } = ADMIN): Promise<Tokens & { viewer: Viewer }> {
  const { data, error } = await identity.ask<{ login: Tokens }>(null, LOGIN, credentials);
  if (error) throw new Error(`${credentials.email} could not sign in: ${error.message}`);
  const { viewer } = await identity.service.authenticator.authenticate(data.login.accessToken, null);
  return { ...data.login, viewer };
}

/** Makes a tenant as that viewer. */
export async function makeTenant(identity: TestIdentity, viewer: Viewer, name: string): Promise<string> {
  const { data, error } = await identity.ask(viewer, 'mutation ($name: String!) { createTenant(input: { name: $name }) { id } }', { name });
  if (error) throw new Error(error.message);
  return data['createTenant'].id;
}

export const PASSWORD = 'a password for tests';

/** Makes a user `<name>@example.org` as that viewer. */
export async function makeUser(identity: TestIdentity, viewer: Viewer, name: string, tenantId: string, role: string): Promise<string> {
  const { data, error } = await identity.ask(
    viewer,
    'mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }',
    { input: { email: `${name}@example.org`, name, password: PASSWORD, tenantId, role } },
  );
  if (error) throw new Error(error.message);
  return data['createUser'].id;
}

/** Makes a user and signs it in. */
export async function member(identity: TestIdentity, admin: Viewer, name: string, tenantId: string, role: string): Promise<Viewer> {
  await makeUser(identity, admin, name, tenantId, role);
  return (await login(identity, { email: `${name}@example.org`, password: PASSWORD })).viewer;
}
