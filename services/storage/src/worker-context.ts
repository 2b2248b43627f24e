import type { Bells } from '@novacron/operations';
import type { Secrets } from '@novacron/secrets';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import type { Database } from './database.ts';
import type { Imports } from './images/import-source.ts';

/** What is decided about the pools of hosts. */
export interface PoolPolicy {
  /** Where every host's own pool is; null: where its libvirt keeps what is its own. */
  directory: string | null;
  /** How much more is promised than there is. */
  overcommit: number;
}

/** What this service's workers reach. */
export interface WorkerContext {
  database: Database;
  bells: Bells;
  redis: RedisOptions;
  logger: Logger;
  secrets: Secrets;
  policy: PoolPolicy;
  /** How images come in. */
  imports: Imports;
}
