import type { RequestContext, Role, VmSample } from '@novacron/contracts';
import { newId, type TenantId } from '@novacron/core';
import { connectRedis, redisReady } from '@novacron/redis';
import { migratedDatabase, startRedis, type TestRedis } from '@novacron/testkit';
import { createInProcessDataSource } from '@novacron/transport';
import type { FormattedExecutionResult } from 'graphql';
import type { Redis } from 'ioredis';
import { pino, type Logger } from 'pino';
import { createMonitoringService, type MonitoringOptions, type MonitoringService } from '../src/service.ts';

/** A running monitoring service over a database and a Redis of its own. */
export interface TestMonitoring {
  service: MonitoringService;
  databaseUrl: string;
  redis: Redis;
  redisServer: TestRedis;
  /** What was logged. */
  logs: { level: number; msg: string }[];
  logger: Logger;
  /** `_entities` of one type, as the gateway asks for them. */
  entities(context: RequestContext, type: 'Vm' | 'Host', ids: readonly string[], selection: string): Promise<FormattedExecutionResult>;
  close(): Promise<void>;
}

export async function startMonitoring(options: Partial<MonitoringOptions> = {}): Promise<TestMonitoring> {
  const [database, redisServer] = await Promise.all([migratedDatabase(), startRedis()]);
  const redis = await redisReady(connectRedis(redisServer.options));
  const logs: TestMonitoring['logs'] = [];
  const logger = pino({ level: 'trace' }, { write: (line: string) => void logs.push(JSON.parse(line)) });
  const service = createMonitoringService({ databaseUrl: database.url, redis, logger, ...options });
  const source = createInProcessDataSource(service.subgraph, logger);
  return {
    service,
    databaseUrl: database.url,
    redis,
    redisServer,
    logs,
    logger,
    entities: (context, type, ids, selection) =>
      source.process({
        query: `query ($representations: [_Any!]!) { _entities(representations: $representations) { ... on ${type} { ${selection} } } }`,
        variables: { representations: ids.map((id) => ({ __typename: type, id })) },
        context,
      }),
    async close() {
      await service.close();
      redis.disconnect();
      await redisServer.stop();
      await database.drop();
    },
  };
}

export const NOBODY: RequestContext = { viewer: null, requestId: 'test', address: null, userAgent: null };

/** A request of somebody with one role in one tenant. */
export const as = (role: Role, tenantId: TenantId = newId()): RequestContext => ({
  ...NOBODY,
  viewer: { userId: newId(), sessionId: newId(), roles: [{ role, tenantId }] },
});

export const vmSample = (more: Partial<VmSample> = {}): VmSample => ({
  vmId: newId(),
  tenantId: newId(),
  hostId: newId(),
  at: new Date().toISOString(),
  cpu: 0.25,
  memoryUsed: 100,
  memoryTotal: 200,
  diskReadBytesPerSecond: 1,
  diskWriteBytesPerSecond: 2,
  netReceiveBytesPerSecond: 3,
  netTransmitBytesPerSecond: 4,
  ...more,
});

/** The values of one field of all entities in an answer. */
export const fieldOf = (answer: FormattedExecutionResult, field: string): unknown[] =>
  (answer.data as { _entities: (Record<string, unknown> | null)[] } | null)?._entities.map((entity) => entity?.[field]) ?? []; // as entities() asks
