import type { RequestContext, Subgraph } from '@novacron/contracts';
import { startSequencer } from '@novacron/events';
import { createBells, startSweeper } from '@novacron/operations';
import type { RedisOptions } from 'ioredis';
import { pino, type Logger } from 'pino';
import { createCancellation } from './cancellation.ts';
import type { OperationsContext } from './graphql/context.ts';
import { schema } from './graphql/schema.ts';
import { createLoaders } from './loaders.ts';
import { startRetention, type RetentionOptions } from './retention.ts';
import { openDatabase } from './store.ts';

export interface OperationsOptions {
  /** The owner's URL, or the one of operations' own role. */
  databaseUrl: string;
  redis: RedisOptions;
  /** Silent unless given. */
  logger?: Logger;
  /** How long events and ended operations are kept. */
  retention?: RetentionOptions;
}

export interface OperationsService {
  readonly subgraph: Subgraph;
  /**
   * Puts events in order, rings for what is due, and throws away what is old, until closed. Idempotent. Any number of
   * processes may do so at once.
   */
  start(): void;
  /** Waits for what is under way. Idempotent. */
  close(): Promise<void>;
}

/** Operations: what was asked for, how far it has come, and the end of it. Needs a migrated database; connects to it at the first question. */
export function createOperationsService(options: OperationsOptions): OperationsService {
  const { databaseUrl, redis, logger = pino({ level: 'silent' }) } = options;
  const db = openDatabase(databaseUrl);
  const bells = createBells(redis, logger);
  const cancel = createCancellation({ db, bells, logger });
  let running: { close(): Promise<void> }[] = [];

  return {
    subgraph: {
      name: 'operations',
      schema,
      createContext: (request: RequestContext): OperationsContext => ({
        ...request,
        db,
        cancel,
        loaders: createLoaders(db, request.viewer),
      }),
    },
    start() {
      if (running.length > 0) return;
      running = [
        startSequencer({ databaseUrl, redis, logger }),
        startSweeper({ sql: db, bells, logger }),
        startRetention(db, logger, options.retention),
      ];
    },
    async close() {
      const parts = running;
      running = [];
      await Promise.all(parts.map((part) => part.close()));
      await bells.close();
      await db.$disconnect();
    },
  };
}

export { schema as operationsSchema };
