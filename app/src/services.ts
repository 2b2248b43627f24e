import { join } from 'node:path';
import type { AttachHost } from '@novacron/agent';
import { startAuditSeal } from '@novacron/audit';
import { UPLOADED_FILES_PATH, type Subgraph } from '@novacron/contracts';
import type { ServiceRole } from '@novacron/database';
import { redisOptions } from '@novacron/local';
import { connectRedis, redisReady } from '@novacron/redis';
import { createSecrets, type Secrets } from '@novacron/secrets';
import type { FirstAdministrator, IdentityService } from '@novacron/service-identity';
import { createIdentityService } from '@novacron/service-identity';
import { createMigrationService } from '@novacron/service-migration';
import { createMonitoringService } from '@novacron/service-monitoring';
import { createNetworkService } from '@novacron/service-network';
import { createOperationsService } from '@novacron/service-operations';
import { createStorageService, type StorageService } from '@novacron/service-storage';
import { createVmsService, type VmsService } from '@novacron/service-vms';
import type { Role } from './arguments.ts';
import type { Environment } from './environment.ts';
import type { SystemOptions } from './system.ts';

/** Every subgraph that is a service's; the gateway has one more of its own. */
export const SUBGRAPHS = ['identity', 'vms', 'storage', 'network', 'migration', 'monitoring', 'operations'] as const;
export type SubgraphName = (typeof SUBGRAPHS)[number];

const HOUR_MS = 60 * 60_000;
/** A signing key is replaced by the next one at this age; its tokens are good to their end. */
const KEY_LIFETIME_MS = 30 * 24 * HOUR_MS;

/** The services of the roles that run here. */
export interface Services {
  identity: IdentityService | null;
  /** Whom the first start made. */
  administrator: FirstAdministrator | null;
  vms: VmsService | null;
  /** What takes and hands out uploads, when storage is among the roles. */
  uploads: StorageService['uploads'];
  /** Those that are answered here. */
  subgraphs: Partial<Record<SubgraphName, Subgraph>>;
  /** What runs beside each host, when the agent is among the roles. */
  attach: readonly AttachHost[];
  redis: Awaited<ReturnType<typeof connectRedis>>;
}

export interface ServicesOptions extends SystemOptions {
  login(role: ServiceRole): string;
  opened: AsyncDisposableStack;
  /** How they are to be closed: as if killed? */
  isForced(): boolean;
  onHostRegistered(): void;
}

/** Opens what the roles need. An agent needs every service that has work beside a host, without answering for it. */
export async function openServices(options: ServicesOptions): Promise<Services> {
  const { environment, logger, login, opened, isForced } = options;
  const has = (role: Role): boolean => options.roles.includes(role);
  const hasBesideHosts = (role: Role): boolean => has(role) || has('agent');
  const redisTarget = redisOptions(options.redisUrl);
  const common = { redis: redisTarget, logger, ...(options.disturb ? { disturb: options.disturb } : {}) };
  const subgraphs: Services['subgraphs'] = {};
  const attach: AttachHost[] = [];

  interface Service {
    readonly subgraph: Subgraph;
    readonly attachHost?: AttachHost;
    start?(): void;
    close(how?: { force?: boolean }): Promise<void>;
  }
  const open = <Opened extends Service>(role: SubgraphName, service: Opened): Opened => {
    opened.defer(() => service.close({ force: isForced() }));
    if (has(role)) {
      service.start?.();
      subgraphs[role] = service.subgraph;
    }
    if (service.attachHost) attach.push((agent) => service.attachHost!(agent)); // just seen
    return service;
  };

  const secrets = has('identity') || hasBesideHosts('vms') || has('storage') ? await createSecrets(environment.keys.master) : null;
  const identity = has('identity') && secrets ? await openIdentity(options, secrets) : null;
  if (identity) subgraphs.identity = identity.service.subgraph;
  if (has('operations')) open('operations', createOperationsService({ databaseUrl: login('operations'), redis: redisTarget, logger }));

  let vms: VmsService | null = null;
  if (hasBesideHosts('vms') && secrets) {
    vms = createVmsService({
      ...common,
      databaseUrl: login('vms'),
      bootDirectories: environment.bootDirectories,
      hostPolicy: { overcommit: environment.overcommit, isAccelerated: () => options.isAccelerated() },
      sealSeed(vmId, content) {
        const { sealed, keyId } = secrets.seal(Buffer.from(JSON.stringify(content)), `seed:${vmId}`);
        return { sealed: Buffer.from(sealed).toString('base64'), keyId };
      },
      onHostRegistered: () => options.onHostRegistered(),
    });
    open('vms', vms);
  }
  let storage: StorageService | null = null;
  if (hasBesideHosts('storage') && secrets) {
    const { storage: storageUrl } = environment.subgraphs.urls;
    const uploads = has('storage') ? { directory: join(environment.data, 'uploads') } : storageUrl === null ? null : { url: `${storageUrl}${UPLOADED_FILES_PATH}` };
    storage = open('storage', createStorageService({ ...common, ...environment.storage, databaseUrl: login('storage'), secrets, uploads }));
  }
  if (hasBesideHosts('network')) open('network', createNetworkService({ ...common, databaseUrl: login('network'), ...(options.runOnHost ? { runOnHost: options.runOnHost } : {}) }));
  if (hasBesideHosts('migration')) open('migration', createMigrationService({ ...common, databaseUrl: login('migration') }));

  const redis = connectRedis(redisTarget, { enableOfflineQueue: true, maxRetriesPerRequest: 1 });
  opened.defer(() => redis.disconnect());
  await redisReady(redis);
  if (hasBesideHosts('monitoring')) open('monitoring', createMonitoringService({ databaseUrl: login('monitoring'), redis, logger }));

  return { identity: identity?.service ?? null, administrator: identity?.administrator ?? null, vms, uploads: storage?.uploads ?? null, subgraphs, attach, redis };
}

async function openIdentity({ environment, redisUrl, logger, login, opened, isForced }: ServicesOptions, secrets: Secrets): Promise<{ service: IdentityService; administrator: FirstAdministrator | null }> {
  const service = createIdentityService({ databaseUrl: login('identity'), secrets, tokenAlgorithm: environment.tokenAlgorithm, redis: redisOptions(redisUrl), logger, bootstrap: environment.administrator, mail: { ...environment.mail, publicUrl: environment.mail.publicUrl ?? gatewayUrl(environment) } });
  opened.defer(() => service.close({ force: isForced() }));
  const administrator = await service.bootstrap();
  service.start();
  const seal = startAuditSeal({ databaseUrl: login('identity'), secrets, logger });
  opened.defer(() => seal.close());
  const rotate = () => service.rotateSigningKeyOlderThan(KEY_LIFETIME_MS).catch((error: unknown) => logger.error({ err: error }, 'the signing key could not be replaced'));
  await rotate(); // also when it is to be of another algorithm now
  const rotation = setInterval(() => void rotate(), HOUR_MS);
  opened.defer(() => clearInterval(rotation));
  return { service, administrator };
}

/** Where the gateway is, unless its address is another one for people: as it listens. */
function gatewayUrl({ gateway: { host, port, tls } }: Environment): string {
  return `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
