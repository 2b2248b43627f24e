import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startAgent } from '@novacron/agent';
import type { Authenticator, Subgraph } from '@novacron/contracts';
import { migrate, SERVICE_ROLES, type ServiceRole } from '@novacron/database';
import { openEventLog } from '@novacron/events';
import { createGateway } from '@novacron/gateway';
import { LocalError, redisOptions } from '@novacron/local';
import { connectRedis, redisReady } from '@novacron/redis';
import { loadOrCreateMasterKey } from '@novacron/secrets';
import { createIdentityService, type FirstAdministrator, type IdentityService } from '@novacron/service-identity';
import { createMonitoringService } from '@novacron/service-monitoring';
import { createOperationsService } from '@novacron/service-operations';
import { createVmsService, type VmsService } from '@novacron/service-vms';
import {
  authenticatorRoutes,
  createHttpAuthenticator,
  createHttpDataSource,
  createInProcessDataSource,
  createRequestSigner,
  loadInternalPublicKey,
  loadOrCreateInternalKeys,
  serveSubgraphs,
  type DataSource,
} from '@novacron/transport';
import type { Logger } from 'pino';
import type { Role } from './arguments.ts';
import type { Environment } from './environment.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const SUBGRAPHS = ['identity', 'vms', 'monitoring', 'operations'] as const;
const HOUR_MS = 60 * 60_000;
/** A signing key is replaced by the next one at this age; its tokens are good to their end. */
const KEY_LIFETIME_MS = 30 * 24 * HOUR_MS;

export interface SystemOptions {
  roles: readonly Role[];
  environment: Environment;
  /** The owner's; null when the environment names one for each login. */
  databaseUrl: string | null;
  redisUrl: string;
  logger: Logger;
  /** The one host that the agent serves; null: every host that has no other agent. */
  agentHost: string | null;
  /** Do guests on this machine run on its CPU? */
  isAccelerated(): Promise<boolean>;
}

export interface System {
  /** Of the gateway, when it is among the roles. */
  url: string | null;
  /** Of the subgraphs, when they are served to a gateway elsewhere. */
  subgraphUrl: string | null;
  /** Whom the first start made. */
  administrator: FirstAdministrator | null;
  vms: VmsService | null;
  /** Stops in the reverse order of the start. `force`: as if killed. */
  close(options?: { force?: boolean }): Promise<void>;
}

/**
 * The one composition root: builds the roles that were asked for, each from the same parts, and nothing else. Embedded,
 * distributed and test runs differ only in what they ask for.
 */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { environment, databaseUrl, logger } = options;
  const has = (role: Role): boolean => options.roles.includes(role);
  const redis = redisOptions(options.redisUrl);
  const login = loginUrls(options);
  const opened = new AsyncDisposableStack();
  let force = false;

  try {
    if (databaseUrl !== null && isOwner(databaseUrl)) await migrate(databaseUrl);

    const wakeAgent: { look(): void } = { look: () => {} };
    let identity: IdentityService | null = null;
    let administrator: FirstAdministrator | null = null;
    if (has('identity')) {
      const masterKey = await loadOrCreateMasterKey(environment.keys.master);
      const service = createIdentityService({ databaseUrl: login('identity'), masterKey, logger, bootstrap: environment.administrator });
      opened.defer(() => service.close());
      administrator = await service.bootstrap();
      const rotation = setInterval(() => {
        service.rotateSigningKeyOlderThan(KEY_LIFETIME_MS).catch((error: unknown) => logger.error({ err: error }, 'the signing key could not be replaced'));
      }, HOUR_MS);
      opened.defer(() => clearInterval(rotation));
      identity = service;
    }
    const operations = has('operations') ? createOperationsService({ databaseUrl: login('operations'), redis, logger }) : null;
    if (operations) {
      opened.defer(() => operations.close());
      operations.start();
    }
    const vms =
      has('vms') || has('agent')
        ? createVmsService({
            databaseUrl: login('vms'),
            redis,
            logger,
            bootDirectories: environment.bootDirectories,
            hostPolicy: { overcommit: environment.overcommit, isAccelerated: () => options.isAccelerated() },
            onHostRegistered: () => wakeAgent.look(),
          })
        : null;
    if (vms) opened.defer(() => vms.close({ force }));
    if (vms && has('vms')) vms.start();

    const shared = connectRedis(redis, { enableOfflineQueue: true, maxRetriesPerRequest: 1 });
    opened.defer(() => shared.disconnect());
    await redisReady(shared);
    const monitoring = has('monitoring') || has('agent') ? createMonitoringService({ databaseUrl: login('monitoring'), redis: shared, logger }) : null;
    if (monitoring) opened.defer(() => monitoring.close());

    if (has('agent') && vms && monitoring) {
      const agent = startAgent({
        databaseUrl: login('agent'),
        logger,
        listPeers: () => vms.listHosts(),
        listHosts: async () => (await vms.listHosts()).filter((host) => options.agentHost === null || host.name === options.agentHost),
        attach: [vms.attachHost, (host) => monitoring.attachHost(host)],
      });
      opened.defer(() => agent.close({ force }));
      wakeAgent.look = () => agent.look();
    }

    const here: Partial<Record<(typeof SUBGRAPHS)[number], Subgraph>> = {
      ...(identity ? { identity: identity.subgraph } : {}),
      ...(vms && has('vms') ? { vms: vms.subgraph } : {}),
      ...(monitoring && has('monitoring') ? { monitoring: monitoring.subgraph } : {}),
      ...(operations ? { operations: operations.subgraph } : {}),
    };
    const url = has('gateway') ? await openGateway(options, opened, here, identity, shared) : null;
    const subgraphUrl = !has('gateway') && Object.keys(here).length > 0 ? await openSubgraphs(options, opened, here, identity) : null;

    return {
      url,
      subgraphUrl,
      administrator,
      vms,
      async close(how = {}) {
        force = how.force ?? false;
        await opened.disposeAsync();
      },
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

/** The logins that roles need: what runs beside a host works with those of the services that it belongs to. */
export const loginsOf = (roles: readonly Role[]): ServiceRole[] => [...new Set(roles.flatMap((role) => (role === 'agent' ? (['agent', 'vms', 'monitoring'] as const) : [role])))];

/** A service's own login can't migrate, and need not: whoever has the owner's does. */
const isOwner = (databaseUrl: string): boolean => !SERVICE_ROLES.some((role) => new URL(databaseUrl).username === `novacron_${role}`);

/** Where each login finds the database. */
const loginUrls =
  ({ environment, databaseUrl }: SystemOptions) =>
  (role: ServiceRole): string => {
    const url = environment.databaseUrls[role] ?? databaseUrl;
    if (url === null) throw new LocalError(`DATABASE_URL_${role.toUpperCase()} must say where PostgreSQL is.`);
    return url;
  };

async function openGateway(
  options: SystemOptions,
  opened: AsyncDisposableStack,
  here: Partial<Record<string, Subgraph>>,
  identity: IdentityService | null,
  redis: Awaited<ReturnType<typeof connectRedis>>,
): Promise<string> {
  const { environment, redisUrl, logger } = options;
  const keys = await loadOrCreateInternalKeys(environment.keys.internal);
  const signRequest = createRequestSigner(keys.privateKey);
  const dataSources: Record<string, DataSource> = {};
  for (const name of SUBGRAPHS) {
    const subgraph = here[name];
    const url = environment.subgraphs.urls[name];
    if (!subgraph && url === null) throw new LocalError(`The gateway needs the subgraph ${name}: run its role here, or set NOVACRON_${name.toUpperCase()}_URL.`);
    const source = subgraph ? createInProcessDataSource(subgraph, logger) : createHttpDataSource({ name, url: url ?? '', signRequest, logger });
    opened.defer(() => source.close());
    dataSources[name] = source;
  }
  const authenticator: Authenticator = identity ? identity.authenticator : remoteAuthenticator();
  const events = openEventLog({ databaseUrl: loginUrls(options)('gateway'), redis: redisOptions(redisUrl), logger });
  opened.defer(() => events.close());
  const gateway = await createGateway({
    supergraphSdl: await readFile(join(REPOSITORY, 'gateway/supergraph.graphql'), 'utf8'),
    dataSources,
    authenticator,
    events,
    redis,
    logger,
    host: environment.gateway.host,
    port: environment.gateway.port,
    allowedOrigins: environment.gateway.allowedOrigins,
    playgroundDir: join(REPOSITORY, 'gateway/playground/dist'),
  });
  opened.defer(() => gateway.close());
  return gateway.url;

  function remoteAuthenticator(): Authenticator {
    const remote = createHttpAuthenticator({ name: 'identity', url: environment.subgraphs.urls.identity ?? '', signRequest, logger });
    opened.defer(() => remote.close());
    return remote;
  }
}

async function openSubgraphs(
  { environment, logger }: SystemOptions,
  opened: AsyncDisposableStack,
  here: Partial<Record<string, Subgraph>>,
  identity: IdentityService | null,
): Promise<string> {
  const server = await serveSubgraphs({
    subgraphs: Object.values(here).filter((subgraph) => subgraph !== undefined),
    ...(identity ? { extraRoutes: authenticatorRoutes(identity.authenticator) } : {}),
    host: environment.subgraphs.host,
    port: environment.subgraphs.port,
    internalPublicKey: await loadInternalPublicKey(join(environment.keys.internal, 'gateway.pub')),
    logger,
  });
  opened.defer(() => server.close());
  return server.url;
}
