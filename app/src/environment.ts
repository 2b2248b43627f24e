import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ROLES } from '@novacron/contracts';
import { dataDirectory } from '@novacron/local';
import { z } from 'zod';
import type { TracingSettings } from './tracing/start.ts';

/**
 * Every variable that NovaCron reads, in one place: parsed once, all faults shown together, values never. The table in
 * the README and .env.example are generated from it (npm run environment).
 */

const port = z.coerce.number().int().min(0).max(65_535);
const ratio = z.coerce.number().min(1).max(1_000);
const url = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), { error: `must begin with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}` });
const httpUrl = url('http:', 'https:');
const listOf = (separator: string) =>
  z.string().transform((text) => text.split(separator).map((part) => part.trim()).filter((part) => part !== ''));
/** Their addresses and their prefixes. */
const isCidr = (text: string): boolean => {
  const [address = '', prefix = '', ...more] = text.split('/');
  return isIP(address) !== 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= (isIP(address) === 4 ? 32 : 128) && more.length === 0;
};
/** How much of something; 0: as much as anyone likes. */
const limit = z.coerce.number().int().min(0).max(1_000_000_000);
const cidrs = listOf(',').refine((list) => list.every(isCidr), { error: 'must be CIDRs, like 192.0.2.0/24' });

interface Variable<Schema extends z.ZodType> {
  schema: Schema;
  /** What it does, for the README. */
  description: string;
  /** What holds when it is not set, in words where it is no constant. */
  otherwise: string;
}

const variable = <Schema extends z.ZodType>(schema: Schema, otherwise: string, description: string): Variable<Schema> => ({ schema, otherwise, description });

export const VARIABLES = {
  NOVACRON_DATA: variable(z.string().startsWith('/').optional(), '/var/lib/novacron as root, else ~/.local/share/novacron', 'Directory of everything that NovaCron keeps on this machine.'),
  NOVACRON_LISTEN: variable(z.string().default('127.0.0.1'), '127.0.0.1', 'Address that the gateway listens on.'),
  NOVACRON_PORT: variable(port.default(8090), '8090', 'Port of the API, the playground and the WebSocket.'),
  NOVACRON_ALLOWED_ORIGINS: variable(listOf(',').default([]), 'none', 'Origins of web applications elsewhere that may use the API, separated by commas.'),
  NOVACRON_SUPERGRAPH: variable(z.string().startsWith('/').optional(), "gateway/supergraph.graphql, which fits this version", 'File of the supergraph that the gateway serves. It is followed: what it holds later is served without a restart, if it can be.'),
  NOVACRON_REQUEST_TIMEOUT: variable(z.coerce.number().min(0.1).max(100).default(15), '15', 'Seconds that a query or a mutation over HTTP may take.'),
  NOVACRON_TLS_CERT: variable(z.string().startsWith('/').optional(), 'plain HTTP', 'PEM file of the certificate, its chain behind it, that the gateway speaks HTTPS and WSS with. Read again when it changes.'),
  NOVACRON_TLS_KEY: variable(z.string().startsWith('/').optional(), 'plain HTTP', "PEM file of that certificate's private key, not encrypted."),
  NOVACRON_HTTP_REDIRECT_PORT: variable(port.optional(), 'none', 'Port where plain HTTP is sent on to HTTPS, under the names that the certificate is for.'),
  NOVACRON_TRUSTED_PROXIES: variable(cidrs.default([]), 'none', 'CIDRs, separated by commas, of proxies in front of the gateway: what they say about a client in X-Forwarded-For is believed.'),
  NOVACRON_INTROSPECTION: variable(z.enum(['all', 'authenticated', ...ROLES, 'none']).default('all'), 'all', 'Who may read the schema: all, authenticated, a role (platform_admin, tenant_admin, operator, auditor, viewer) or none.'),
  NOVACRON_LIMIT_LOGINS: variable(limit.default(5), '5', 'Attempts to sign in within a minute, for each address; as many others that hash a password, and twelve times as many users, API tokens and SSH keys made. 0: any number.'),
  NOVACRON_LIMIT_REGISTRATIONS: variable(limit.default(3), '3', 'Accounts that an address may register, and mails that it may ask for to reset a password, within a minute; 0: any number.'),
  NOVACRON_LIMIT_POINTS: variable(limit.default(6_000), '6000', 'Cost points within a minute, for each user, or address where nobody has signed in; a simple query costs 1. 0: any number.'),
  NOVACRON_LIMIT_COST: variable(limit.default(5_000), '5000', 'Cost points of one operation, by its estimate; 0: any number.'),
  NOVACRON_LIMIT_CONNECTIONS: variable(limit.default(10), '10', 'WebSocket and event-stream connections of a user at once; 0: any number.'),
  NOVACRON_LIMIT_CONNECTIONS_PER_ADDRESS: variable(limit.default(1_000), '1000', 'The same of an address, where nobody has signed in yet; 0: any number.'),
  NOVACRON_LIMIT_SUBSCRIPTIONS: variable(limit.default(100), '100', 'Subscriptions of a connection at once; 0: any number.'),
  NOVACRON_LIMIT_SUBSCRIPTIONS_PER_USER: variable(limit.default(1_000), '1000', 'Subscriptions of a user at once; 0: any number.'),
  NOVACRON_LIMIT_SUBSCRIPTIONS_PER_TENANT: variable(limit.default(10_000), '10000', "Subscriptions of a tenant's users at once; 0: any number."),
  NOVACRON_ADMIN_EMAIL: variable(z.email().default('admin@novacron.local'), 'admin@novacron.local', 'The first administrator, made with the database.'),
  NOVACRON_ADMIN_PASSWORD: variable(z.string().optional(), 'generated, and printed once', "The first administrator's password."),
  NOVACRON_BOOT_DIRS: variable(listOf(':').optional(), '<NOVACRON_DATA>/boot', 'Directories on the host that VMs may boot kernels from, separated by colons.'),
  NOVACRON_LIBVIRT_URI: variable(z.string().optional(), "the system's libvirtd, else a private one", "This machine's libvirt; for the agent of one host, a nearer way to it than the URI that it was registered with."),
  NOVACRON_HOST_NAME: variable(z.string().optional(), "this machine's host name", 'What this machine is called in the fleet.'),
  NOVACRON_CPU_OVERCOMMIT: variable(ratio.default(16), '16', 'Virtual CPUs that are promised for each CPU of a host.'),
  NOVACRON_MEMORY_OVERCOMMIT: variable(ratio.default(1), '1', "Memory that is promised for each byte of a host's."),
  NOVACRON_POOL_DIR: variable(z.string().startsWith('/').optional(), '/var/lib/libvirt/novacron, without root below ~/.local/share/libvirt', "Where each host's own pool \"local\" keeps its volumes."),
  NOVACRON_STORAGE_OVERCOMMIT: variable(ratio.default(1), '1', "Disk space that is promised for each byte of a pool's."),
  NOVACRON_IMPORT_ALLOW: variable(cidrs.default([]), 'none', 'CIDRs, separated by commas, that images may be fetched from though their addresses are not public.'),
  DATABASE_URL: variable(url('postgresql:', 'postgres:').optional(), 'a private PostgreSQL is started', 'PostgreSQL 15 or later: of its owner, or of one service (role novacron_<service>).'),
  DATABASE_URL_IDENTITY: variable(url('postgresql:', 'postgres:').optional(), 'from DATABASE_URL', 'Where the identity role logs in as novacron_identity.'),
  DATABASE_URL_VMS: variable(url('postgresql:', 'postgres:').optional(), 'from DATABASE_URL', 'Where the vms and agent roles log in as novacron_vms.'),
  DATABASE_URL_STORAGE: variable(url('postgresql:', 'postgres:').optional(), 'from DATABASE_URL', 'Where the storage and agent roles log in as novacron_storage.'),
  DATABASE_URL_NETWORK: variable(url('postgresql:', 'postgres:').optional(), 'from DATABASE_URL', 'Where the network and agent roles log in as novacron_network.'),
  DATABASE_URL_MIGRATION: variable(url('postgresql:', 'postgres:').optional(), 'from DATABASE_URL', 'Where the migration and agent roles log in as novacron_migration.'),
  DATABASE_URL_MONITORING: variable(url('postgresql:', 'postgres:').optional(), 'from DATABASE_URL', 'Where the monitoring and agent roles log in as novacron_monitoring.'),
  DATABASE_URL_OPERATIONS: variable(url('postgresql:', 'postgres:').optional(), 'from DATABASE_URL', 'Where the operations role logs in as novacron_operations.'),
  DATABASE_URL_GATEWAY: variable(url('postgresql:', 'postgres:').optional(), 'from DATABASE_URL', 'Where the gateway role logs in as novacron_gateway.'),
  DATABASE_URL_AGENT: variable(url('postgresql:', 'postgres:').optional(), 'from DATABASE_URL', 'Where the agent role logs in as novacron_agent.'),
  REDIS_URL: variable(url('redis:', 'rediss:', 'unix:').optional(), 'a private Redis is started', 'Redis 6.2 or later: redis://, rediss:// or unix:///path?password=...'),
  NOVACRON_IDENTITY_URL: variable(httpUrl.optional(), 'in this process', 'Where the identity role listens, for a gateway elsewhere.'),
  NOVACRON_VMS_URL: variable(httpUrl.optional(), 'in this process', 'Where the vms role listens, for a gateway elsewhere.'),
  NOVACRON_STORAGE_URL: variable(httpUrl.optional(), 'in this process', 'Where the storage role listens, for a gateway or an agent elsewhere.'),
  NOVACRON_NETWORK_URL: variable(httpUrl.optional(), 'in this process', 'Where the network role listens, for a gateway elsewhere.'),
  NOVACRON_MIGRATION_URL: variable(httpUrl.optional(), 'in this process', 'Where the migration role listens, for a gateway elsewhere.'),
  NOVACRON_MONITORING_URL: variable(httpUrl.optional(), 'in this process', 'Where the monitoring role listens, for a gateway elsewhere.'),
  NOVACRON_OPERATIONS_URL: variable(httpUrl.optional(), 'in this process', 'Where the operations role listens, for a gateway elsewhere.'),
  NOVACRON_SUBGRAPH_LISTEN: variable(z.string().default('127.0.0.1'), '127.0.0.1', 'Address that subgraphs without a gateway beside them listen on.'),
  NOVACRON_SUBGRAPH_PORT: variable(port.default(8091), '8091', 'Port that subgraphs without a gateway beside them listen on.'),
  NOVACRON_SUBGRAPH_TIMEOUT: variable(z.coerce.number().min(0.1).max(100).default(10), '10', 'Seconds that a subgraph may take to answer before its fields are null; nine tenths of NOVACRON_REQUEST_TIMEOUT at most.'),
  NOVACRON_INTERNAL_KEY_DIR: variable(z.string().startsWith('/').optional(), '<NOVACRON_DATA>/keys', 'Directory of gateway.key and gateway.pub, with which the gateway proves itself to subgraphs. A subgraph needs gateway.pub alone.'),
  NOVACRON_MASTER_KEY_FILE: variable(z.string().startsWith('/').optional(), '<NOVACRON_DATA>/keys/master.key', 'File of the 32 bytes that secrets in the database are sealed with; made at the first start, mode 0600.'),
  NOVACRON_TOKEN_ALGORITHM: variable(z.enum(['EdDSA', 'RS256']).default('EdDSA'), 'EdDSA', 'What access tokens are signed with: EdDSA, or RS256 for whoever checks them and knows no other. At a change nobody is signed out.'),
  NOVACRON_METRICS_TOKEN: variable(z.string().min(16).optional(), 'whoever reaches the port may read them', 'What Prometheus has to send as a bearer token for /metrics; 16 characters at least.'),
  NOVACRON_SLOW_OPERATION_MS: variable(z.coerce.number().int().min(0).default(1_000), '1000', 'Queries and mutations that take longer are logged with their plan, in milliseconds; 0: none.'),
  NOVACRON_PUBLIC_URL: variable(httpUrl.optional(), 'http(s)://NOVACRON_LISTEN:NOVACRON_PORT', 'Address under which people reach the gateway: what links in mails begin with.'),
  NOVACRON_SMTP_URL: variable(url('smtp:', 'smtps:').optional(), 'mails wait until it is set', 'Server that takes mails: smtp://[user:password@]host[:port] (STARTTLS where it is offered; with a password, always) or smtps://.'),
  NOVACRON_MAIL_FROM: variable(z.string().min(3).max(320).default('NovaCron <novacron@localhost>'), 'NovaCron <novacron@localhost>', 'Sender of the mails.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable(httpUrl.optional(), 'nothing is traced', 'Where traces are sent, as OTLP over HTTP: an OpenTelemetry collector, like http://127.0.0.1:4318.'),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: variable(httpUrl.optional(), 'OTEL_EXPORTER_OTLP_ENDPOINT and /v1/traces', 'The same for traces alone, with its path.'),
  OTEL_EXPORTER_OTLP_PROTOCOL: variable(z.enum(['http/protobuf', 'http/json']).default('http/protobuf'), 'http/protobuf', 'How traces are written: http/protobuf or http/json.'),
  OTEL_TRACES_EXPORTER: variable(z.enum(['otlp', 'console', 'none']).optional(), 'otlp with an endpoint, else none', 'otlp, console (to stdout) or none.'),
  OTEL_SERVICE_NAME: variable(z.string().default('novacron'), 'novacron', 'What this process is called in traces.'),
  OTEL_TRACES_SAMPLER: variable(z.enum(['always_on', 'always_off', 'traceidratio', 'parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio']).optional(), 'parentbased_always_on', 'Which requests are traced. The parentbased ones do as the client says in its traceparent, if it sends one.'),
  OTEL_TRACES_SAMPLER_ARG: variable(z.coerce.number().min(0).max(1).optional(), '1', 'The share of requests that the ratio samplers trace, 0 to 1.'),
  OTEL_SDK_DISABLED: variable(z.enum(['true', 'false']).default('false'), 'false', 'true: nothing is traced, whatever else is set.'),
  NOVACRON_LOG_LEVEL: variable(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'), 'info', 'How much is logged.'),
} as const satisfies Record<string, Variable<z.ZodType>>;

const schema = z.object(Object.fromEntries(Object.entries(VARIABLES).map(([name, { schema: one }]) => [name, one])) as { [Name in keyof typeof VARIABLES]: (typeof VARIABLES)[Name]['schema'] }); // fromEntries forgets the keys

/** Who sets the first has to set the second. */
const NEEDS: readonly (readonly [keyof typeof VARIABLES, keyof typeof VARIABLES])[] = [
  ['NOVACRON_TLS_CERT', 'NOVACRON_TLS_KEY'],
  ['NOVACRON_TLS_KEY', 'NOVACRON_TLS_CERT'],
  ['NOVACRON_HTTP_REDIRECT_PORT', 'NOVACRON_TLS_CERT'],
];

export type Environment = ReturnType<typeof readEnvironment>;

/** Variables that are wrong; the message names each, and never its value. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
}

/** An empty variable is one that is not set, as in a systemd unit's EnvironmentFile. */
const withoutEmpty = (env: NodeJS.ProcessEnv) => Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));

/** The environment as the rest of the program sees it: nested, typed and complete. */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env) {
  const given = withoutEmpty(env);
  const parsed = schema.safeParse(given);
  const missing = NEEDS.filter(([one, other]) => given[one] !== undefined && given[other] === undefined).map(([one, other]) => `  ${other}: must be set where ${one} is`);
  if (!parsed.success || missing.length > 0) {
    const faults = [...(parsed.error?.issues ?? []).map((issue) => `  ${issue.path.join('.')}: ${issue.message}`), ...missing];
    throw new EnvironmentError(`These environment variables are wrong:\n${faults.join('\n')}`);
  }
  const values = parsed.data;
  const data = values.NOVACRON_DATA ?? dataDirectory(env);
  const keys = values.NOVACRON_INTERNAL_KEY_DIR ?? join(data, 'keys');
  return {
    data,
    logLevel: values.NOVACRON_LOG_LEVEL,
    tracing: tracingSettings(values),
    databaseUrl: values.DATABASE_URL ?? null,
    /** For a process that must not know the owner's: a URL for each login that its roles need. */
    databaseUrls: {
      identity: values.DATABASE_URL_IDENTITY ?? null,
      vms: values.DATABASE_URL_VMS ?? null,
      storage: values.DATABASE_URL_STORAGE ?? null,
      network: values.DATABASE_URL_NETWORK ?? null,
      migration: values.DATABASE_URL_MIGRATION ?? null,
      monitoring: values.DATABASE_URL_MONITORING ?? null,
      operations: values.DATABASE_URL_OPERATIONS ?? null,
      gateway: values.DATABASE_URL_GATEWAY ?? null,
      agent: values.DATABASE_URL_AGENT ?? null,
    },
    redisUrl: values.REDIS_URL ?? null,
    gateway: {
      host: values.NOVACRON_LISTEN,
      port: values.NOVACRON_PORT,
      allowedOrigins: values.NOVACRON_ALLOWED_ORIGINS,
      tls: values.NOVACRON_TLS_CERT !== undefined && values.NOVACRON_TLS_KEY !== undefined ? { cert: values.NOVACRON_TLS_CERT, key: values.NOVACRON_TLS_KEY } : null,
      redirectPort: values.NOVACRON_HTTP_REDIRECT_PORT ?? null,
      supergraphFile: values.NOVACRON_SUPERGRAPH ?? null, requestTimeoutMs: values.NOVACRON_REQUEST_TIMEOUT * 1_000,
      trustedProxies: values.NOVACRON_TRUSTED_PROXIES,
      rateLimits: {
        loginsPerMinute: values.NOVACRON_LIMIT_LOGINS,
        registrationsPerMinute: values.NOVACRON_LIMIT_REGISTRATIONS,
        pointsPerMinute: values.NOVACRON_LIMIT_POINTS,
        connectionsPerUser: values.NOVACRON_LIMIT_CONNECTIONS,
        connectionsPerAddress: values.NOVACRON_LIMIT_CONNECTIONS_PER_ADDRESS,
        subscriptionsPerConnection: values.NOVACRON_LIMIT_SUBSCRIPTIONS,
        subscriptionsPerUser: values.NOVACRON_LIMIT_SUBSCRIPTIONS_PER_USER,
        subscriptionsPerTenant: values.NOVACRON_LIMIT_SUBSCRIPTIONS_PER_TENANT,
      },
      maximumCost: values.NOVACRON_LIMIT_COST,
      introspection: values.NOVACRON_INTROSPECTION,
      slowOperationMs: values.NOVACRON_SLOW_OPERATION_MS,
      metricsToken: values.NOVACRON_METRICS_TOKEN ?? null,
    },
    subgraphs: {
      host: values.NOVACRON_SUBGRAPH_LISTEN,
      port: values.NOVACRON_SUBGRAPH_PORT,
      timeoutMs: values.NOVACRON_SUBGRAPH_TIMEOUT * 1_000,
      urls: {
        identity: values.NOVACRON_IDENTITY_URL ?? null,
        vms: values.NOVACRON_VMS_URL ?? null,
        storage: values.NOVACRON_STORAGE_URL ?? null,
        network: values.NOVACRON_NETWORK_URL ?? null,
        migration: values.NOVACRON_MIGRATION_URL ?? null,
        monitoring: values.NOVACRON_MONITORING_URL ?? null,
        operations: values.NOVACRON_OPERATIONS_URL ?? null,
      },
    },
    keys: { internal: keys, master: values.NOVACRON_MASTER_KEY_FILE ?? join(data, 'keys/master.key') },
    tokenAlgorithm: values.NOVACRON_TOKEN_ALGORITHM,
    administrator: { email: values.NOVACRON_ADMIN_EMAIL, password: values.NOVACRON_ADMIN_PASSWORD },
    mail: { publicUrl: values.NOVACRON_PUBLIC_URL ?? null, smtpUrl: values.NOVACRON_SMTP_URL ?? null, from: values.NOVACRON_MAIL_FROM },
    libvirtUri: values.NOVACRON_LIBVIRT_URI ?? null,
    hostName: toHostName(values.NOVACRON_HOST_NAME ?? hostname()),
    bootDirectories: values.NOVACRON_BOOT_DIRS ?? [join(data, 'boot')],
    storage: { poolDirectory: values.NOVACRON_POOL_DIR ?? null, overcommit: values.NOVACRON_STORAGE_OVERCOMMIT, importAllow: values.NOVACRON_IMPORT_ALLOW },
    overcommit: { cpu: values.NOVACRON_CPU_OVERCOMMIT, memory: values.NOVACRON_MEMORY_OVERCOMMIT },
  };
}

/** Null unless an exporter or an endpoint is named: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
function tracingSettings(values: z.infer<typeof schema>): TracingSettings | null {
  const endpoint = values.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? values.OTEL_EXPORTER_OTLP_ENDPOINT;
  const exporter = values.OTEL_TRACES_EXPORTER ?? (endpoint === undefined ? 'none' : 'otlp');
  if (exporter === 'none' || values.OTEL_SDK_DISABLED === 'true') return null;
  return { exporter, protocol: values.OTEL_EXPORTER_OTLP_PROTOCOL, serviceName: values.OTEL_SERVICE_NAME };
}

/** A machine's name as a host's name: 1-63 of a-z, 0-9 and -. */
const toHostName = (name: string): string =>
  name
    .toLowerCase()
    .replace(/\..*/, '')
    .replace(/[^a-z0-9-]/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63) || 'host';
