import type { AttachHost } from '@novacron/agent';
import type { ReceiveUpload, RequestContext, Subgraph } from '@novacron/contracts';
import { createBells, type AnyStep, type Bell, type OperationsWorker } from '@novacron/operations';
import type { Secrets } from '@novacron/secrets';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { openDatabase, type Tx } from './database.ts';
import type { StorageContext } from './graphql/context.ts';
import { schema } from './graphql/schema.ts';
import { addressPolicy } from './images/fetch/addresses.ts';
import { createSpool, localUploads, noUploads, remoteUploads, type Spool } from './images/uploads/spool.ts';
import { receiveUpload, startUploadSweeper } from './images/uploads/uploads.ts';
import { createLoaders } from './loaders.ts';
import { attachHost, startServiceWorker } from './worker.ts';
import type { WorkerContext } from './worker-context.ts';

export interface StorageOptions {
  /** The owner's URL, or the one of the service's own role. */
  databaseUrl: string;
  redis: RedisOptions;
  logger: Logger;
  /** What seals passphrases and seeds. */
  secrets: Secrets;
  /** Where every host's own pool is; else /var/lib/libvirt/novacron, or the like below its home for a libvirt without root. */
  poolDirectory?: string | null;
  /** How much more is promised than there is; 1 unless told. */
  overcommit?: number;
  /** CIDRs that images may be fetched from though they are not public; none unless told. */
  importAllow?: readonly string[];
  /** Where clients' uploads are: in a directory of this process, or with the storage role at a URL; null: they can't be read here. */
  uploads?: { directory: string } | { url: string } | null;
  /** For tests: changes each step that workers do. */
  disturb?(step: AnyStep<Tx>): AnyStep<Tx>;
}

export interface StorageService {
  readonly subgraph: Subgraph;
  /** What runs beside a host. */
  readonly attachHost: AttachHost;
  /** Takes and hands out uploads, where there is a directory for them. */
  readonly uploads: { receive: ReceiveUpload; find: Spool['find'] } | null;
  /** Begins what runs once for the fleet, in any number of processes: steps that need no host. */
  start(): void;
  close(options?: { force?: boolean }): Promise<void>;
}

/** Pools, volumes and images. Needs a migrated database; connects at the first question. */
export function createStorageService(options: StorageOptions): StorageService {
  const { redis, logger, secrets, disturb } = options;
  const database = openDatabase(options.databaseUrl);
  const bells = createBells(redis, logger);
  const policy = { directory: options.poolDirectory ?? null, overcommit: options.overcommit ?? 1 };
  const spool = options.uploads && 'directory' in options.uploads ? createSpool(options.uploads.directory) : null;
  const uploadedFiles = spool ? localUploads(spool) : options.uploads && 'url' in options.uploads ? remoteUploads(options.uploads.url) : noUploads;
  const uploads = spool && { database, spool, logger, ring: (bell: Bell) => bells.ring(bell) };
  const imports = { policy: addressPolicy(options.importAllow ?? []), uploads: uploadedFiles };
  const context: WorkerContext = { database, bells, redis, logger, secrets, policy, imports };
  let worker: OperationsWorker | null = null;
  let sweeper: { close(): void } | null = null;

  const createContext = (request: RequestContext): StorageContext => ({
    ...request,
    database,
    secrets,
    loaders: createLoaders(database),
    ring: (bell) => bells.ring(bell),
  });

  return {
    subgraph: { name: 'storage', schema, createContext },
    attachHost: attachHost(context, disturb),
    start() {
      worker = startServiceWorker(context, disturb);
      sweeper = uploads && startUploadSweeper(uploads);
    },
    uploads: uploads && spool && { receive: receiveUpload(uploads), find: (token) => spool.find(token) },
    async close(how) {
      sweeper?.close();
      await worker?.close(how);
      await bells.close();
      await database.$disconnect();
    },
  };
}

export { schema as storageSchema };
