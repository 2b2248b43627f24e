import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startAgent, type HostRecord } from '@novacron/agent';
import { createAuditTrail } from '@novacron/audit';
import type { Authenticator, ReceiveUpload } from '@novacron/contracts';
import { migrate, SERVICE_ROLES, type ServiceRole } from '@novacron/database';
import { openEventLog } from '@novacron/events';
import { createGateway } from '@novacron/gateway';
import { LocalError, redisOptions } from '@novacron/local';
import type { AnyStep } from '@novacron/operations';
import type { FirstAdministrator } from '@novacron/service-identity';
import type { RunOnHost } from '@novacron/service-network';
import type { VmsService } from '@novacron/service-vms';
import {
  authenticatorRoutes,
  createHttpAuthenticator,
  createHttpDataSource,
  createHttpUploads,
  createInProcessDataSource,
  createRequestSigner,
  loadInternalPublicKey,
  loadOrCreateInternalKeys,
  serveSubgraphs,
  type DataSource,
} from '@novacron/transport';
import type { Logger } from 'pino';
import type { Role } from './arguments.ts';
import { auditSubgraphs } from './audit.ts';
import type { Environment } from './environment.ts';
import { openServices, SUBGRAPHS, type Services } from './services.ts';

const REPOSITORY = join(import.meta.dirname, '../..');

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
  /** For tests: what is done instead of a step of any service. */
  // oxlint-disable-next-line typescript/no-explicit-any -- the services' transactions have no common type
  disturb?: (step: AnyStep<any>) => AnyStep<any>;
  /** For hosts that are not this machine, as a test's are: how a command is run on one. */
  runOnHost?: RunOnHost;
}

export interface System {
  /** Of the gateway, when it is among the roles. */
  url: string | null;
  /** Of the subgraphs, when they are served to a gateway elsewhere. */
  subgraphUrl: string | null;
  /** Whom the first start made. */
  administrator: FirstAdministrator | null;
  vms: VmsService | null;
  /** Those that are answered in this process. */
  subgraphs: Services['subgraphs'];
  /** Stops in the reverse order of the start. `force`: as if killed. */
  close(options?: { force?: boolean }): Promise<void>;
}

/**
 * The one composition root: builds the roles that were asked for, each from the same parts, and nothing else. Embedded,
 * distributed and test runs differ only in what they ask for.
 */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { databaseUrl, logger } = options;
  const has = (role: Role): boolean => options.roles.includes(role);
  const login = loginUrls(options);
  const opened = new AsyncDisposableStack();
  let force = false;

  try {
    if (databaseUrl !== null && isOwner(databaseUrl)) await migrate(databaseUrl);

    const wakeAgent: { look(): void } = { look: () => {} };
    const services = await openServices({ ...options, login, opened, isForced: () => force, onHostRegistered: () => wakeAgent.look() });
    const { vms, administrator } = services;
    auditSubgraphs(services.subgraphs, { login, logger, opened });

    if (has('agent') && vms) {
      const showLife = await agentLife(options);
      const agent = startAgent({
        databaseUrl: login('agent'),
        logger,
        listPeers: () => vms.listHosts(),
        listHosts: async () => {
          const hosts = await vms.listHosts();
          await showLife();
          return hosts.flatMap((host) => attended(host, options));
        },
        admit: vms.admitHost,
        attach: services.attach,
      });
      opened.defer(() => agent.close({ force }));
      wakeAgent.look = () => agent.look();
    }

    const url = has('gateway') ? await openGateway(options, opened, services) : null;
    const subgraphUrl = !has('gateway') && Object.keys(services.subgraphs).length > 0 ? await openSubgraphs(options, opened, services) : null;

    return {
      url,
      subgraphUrl,
      administrator,
      vms,
      subgraphs: services.subgraphs,
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

/**
 * A host as this process is to reach it, if it is to be its agent. The agent of one host may know a nearer way to its libvirt than the
 * one that the fleet knows.
 */
function attended(host: HostRecord, { agentHost, environment }: SystemOptions): HostRecord[] {
  if (agentHost === null) return [host];
  if (host.name !== agentHost) return [];
  return [environment.libvirtUri === null ? host : { ...host, uri: environment.libvirtUri }];
}

/** The logins that roles need: what runs beside a host works with those of the services that it belongs to. */
export const loginsOf = (roles: readonly Role[]): ServiceRole[] => [...new Set(roles.flatMap((role) => (role === 'agent' ? (['agent', 'vms', 'storage', 'network', 'migration', 'monitoring'] as const) : [role])))];

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

/** An agent alone listens nowhere: that it works is seen by the time of a file, written whenever it has read its list of hosts. */
async function agentLife({ roles, environment: { data } }: SystemOptions): Promise<() => Promise<void>> {
  if (roles.some((role) => role !== 'agent')) return () => Promise.resolve();
  await mkdir(data, { recursive: true, mode: 0o700 });
  return () => writeFile(join(data, 'agent.seen'), '');
}

async function openGateway(
  options: SystemOptions,
  opened: AsyncDisposableStack,
  { subgraphs, identity, redis, uploads }: Services,
): Promise<string> {
  const { environment, redisUrl, logger } = options;
  const keys = await loadOrCreateInternalKeys(environment.keys.internal);
  const signRequest = createRequestSigner(keys.privateKey);
  const dataSources: Record<string, DataSource> = {};
  for (const name of SUBGRAPHS) {
    const subgraph = subgraphs[name];
    const url = environment.subgraphs.urls[name];
    if (!subgraph && url === null) throw new LocalError(`The gateway needs the subgraph ${name}: run its role here, or set NOVACRON_${name.toUpperCase()}_URL.`);
    const source = subgraph ? createInProcessDataSource(subgraph, logger) : createHttpDataSource({ name, url: url ?? '', signRequest });
    opened.defer(() => source.close());
    dataSources[name] = source;
  }
  const authenticator: Authenticator = identity ? identity.authenticator : remoteAuthenticator();
  const events = openEventLog({ databaseUrl: loginUrls(options)('gateway'), redis: redisOptions(redisUrl), logger });
  opened.defer(() => events.close());
  const audit = createAuditTrail({ databaseUrl: loginUrls(options)('gateway'), service: 'gateway', logger });
  opened.defer(() => audit.close());
  const gateway = await createGateway({
    supergraphFile: environment.gateway.supergraphFile ?? join(REPOSITORY, 'gateway/supergraph.graphql'),
    dataSources,
    authenticator,
    events,
    audit,
    redis,
    uploads: uploads ? uploads.receive : remoteUploads(),
    logger,
    host: environment.gateway.host,
    port: environment.gateway.port,
    tls: environment.gateway.tls,
    redirectPort: environment.gateway.redirectPort,
    allowedOrigins: environment.gateway.allowedOrigins,
    rateLimits: environment.gateway.rateLimits,
    trustedProxies: environment.gateway.trustedProxies,
    maximumCost: environment.gateway.maximumCost,
    introspection: environment.gateway.introspection,
    requestTimeoutMs: environment.gateway.requestTimeoutMs,
    subgraphTimeoutMs: environment.subgraphs.timeoutMs,
    slowOperationMs: environment.gateway.slowOperationMs,
    metricsToken: environment.gateway.metricsToken,
    playgroundDir: join(REPOSITORY, 'gateway/playground/dist'),
  });
  opened.defer(() => gateway.close());
  return gateway.url;

  function remoteUploads(): ReceiveUpload | null {
    const url = environment.subgraphs.urls.storage;
    if (url === null) return null;
    const remote = createHttpUploads({ url, logger });
    opened.defer(() => remote.close());
    return remote.receive;
  }

  function remoteAuthenticator(): Authenticator {
    const remote = createHttpAuthenticator({ name: 'identity', url: environment.subgraphs.urls.identity ?? '', signRequest, logger });
    opened.defer(() => remote.close());
    return remote;
  }
}

async function openSubgraphs(
  { environment, logger }: SystemOptions,
  opened: AsyncDisposableStack,
  { subgraphs, identity, uploads }: Services,
): Promise<string> {
  const server = await serveSubgraphs({
    subgraphs: Object.values(subgraphs).filter((subgraph) => subgraph !== undefined),
    ...(identity ? { extraRoutes: authenticatorRoutes(identity.authenticator) } : {}),
    ...(uploads ? { uploads } : {}),
    host: environment.subgraphs.host,
    port: environment.subgraphs.port,
    internalPublicKey: await loadInternalPublicKey(join(environment.keys.internal, 'gateway.pub')),
    logger,
  });
  opened.defer(() => server.close());
  return server.url;
}
