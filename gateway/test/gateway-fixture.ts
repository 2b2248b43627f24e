import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DomainError, newId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { KNOWN_TO_KEY, type Authenticator, type Role, type Subgraph, type Viewer } from '@novacron/contracts';
import { connectRedis, onOneServer, redisReady } from '@novacron/redis';
import { startRedis, type TestRedis } from '@novacron/testkit';
import { createInProcessDataSource, type DataSource } from '@novacron/transport';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { createGateway, type Gateway, type GatewayOptions } from '../src/gateway.ts';
import { UNLIMITED } from '../src/rate-limits/settings.ts';
import { MemoryEventLog } from './memory-event-log.ts';
import { smallGraph, type smallServices, type World } from './small-graph.ts';

/** Who tokens stand for, as identity would say; counts how often it is asked. */
export class FakeAuthority implements Authenticator {
  readonly #tokens = new Map<string, Awaited<ReturnType<Authenticator['authenticate']>>>();
  /** Tokens about which it never answers. */
  readonly stuck = new Set<string>();
  asked = 0;

  signIn(roles: readonly (readonly [Role, TenantId])[], expiresInMs = 600_000, userId = newId<UserId>(), ageMs = 0, prefix = 'token-'): { token: string; viewer: Viewer } {
    const viewer: Viewer = {
      userId,
      sessionId: newId<SessionId>(),
      roles: roles.map(([role, tenantId]) => ({ role, tenantId })),
    };
    const token = `${prefix}${viewer.sessionId}`;
    this.#tokens.set(token, { viewer, issuedAt: new Date(Date.now() - ageMs), expiresAt: new Date(Date.now() + expiresInMs) });
    return { token, viewer };
  }

  setRoles(token: string, roles: Viewer['roles']): void {
    const known = this.#tokens.get(token);
    if (known !== undefined) this.#tokens.set(token, { ...known, viewer: { ...known.viewer, roles } });
  }

  async authenticate(token: string): ReturnType<Authenticator['authenticate']> {
    this.asked += 1;
    if (this.stuck.has(token)) await new Promise(() => {});
    const known = this.#tokens.get(token);
    if (known === undefined) throw new DomainError('UNAUTHENTICATED', 'This access token is not valid.');
    return known;
  }

  async jwks(): Promise<{ keys: object[] }> {
    return { keys: [{ kty: 'OKP', kid: 'one' }] };
  }
}

export interface Fixture {
  gateway: Gateway;
  world: World;
  log: MemoryEventLog;
  authority: FakeAuthority;
  redis: Redis;
  redisServer: TestRedis;
  /** Log lines, parsed. */
  lines: Record<string, unknown>[];
  options: GatewayOptions;
  supergraphSdl: string;
  tenant: TenantId;
  metric(name: string): Promise<number>;
  query(query: string, options?: { token?: string; variables?: object; headers?: Record<string, string> }): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: Headers;
  data: Record<string, unknown> | null | undefined;
  errors: { message: string; path?: (string | number)[]; extensions: Record<string, unknown> }[];
}

export interface Changes {
  /** Other ways to the subgraphs than in process. */
  dataSources?: (sources: Record<string, DataSource>, subgraphs: Subgraph[], authority: FakeAuthority) => Promise<Record<string, DataSource>> | Record<string, DataSource>;
  options?: Partial<GatewayOptions>;
  /** Services whose supergraph was composed before. */
  graph?: ReturnType<typeof smallServices> & { supergraphSdl: string };
}

/** A gateway over the small graph, with a real Redis and an event log in memory. */
export async function startGateway(changes: Changes = {}): Promise<Fixture> {
  const { world, subgraphs, supergraphSdl } = changes.graph ?? smallGraph();
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const redisServer = await startRedis();
  const redis = await redisReady(connectRedis(redisServer.options));
  await onOneServer(redis)((runId) => redis.set(KNOWN_TO_KEY, runId)); // as identity says that no session has ended
  const log = new MemoryEventLog();
  const authority = new FakeAuthority();
  const sources = Object.fromEntries(subgraphs.map((subgraph) => [subgraph.name, createInProcessDataSource(subgraph, logger)]));
  const directory = await mkdtemp(join(tmpdir(), 'novacron-gateway-'));
  const supergraphFile = join(directory, 'supergraph.graphql');
  await writeFile(supergraphFile, supergraphSdl);
  const options: GatewayOptions = {
    supergraphFile,
    dataSources: (await changes.dataSources?.(sources, subgraphs, authority)) ?? sources,
    authenticator: authority,
    events: log,
    redis,
    logger,
    host: '127.0.0.1',
    port: 0,
    rateLimits: { ...UNLIMITED, subscriptionsPerConnection: 100 },
    playgroundDir: join(directory, 'dist'),
    ...changes.options,
  };
  const gateway = await createGateway(options);
  return {
    gateway,
    world,
    log,
    authority,
    redis,
    redisServer,
    lines,
    options,
    supergraphSdl,
    tenant: newId<TenantId>(),
    async metric(name) {
      const text = await (await fetch(`${gateway.url}/metrics`)).text();
      const values = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
      return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    },
    async query(query, { token, variables, headers = {} } = {}) {
      const response = await fetch(`${gateway.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
        body: JSON.stringify({ query, variables }),
      });
      const { data, errors = [] } = (await response.json()) as Answer;
      return { status: response.status, headers: response.headers, data, errors };
    },
    async close() {
      await gateway.close();
      redis.disconnect();
      await redisServer.stop();
    },
  };
}
