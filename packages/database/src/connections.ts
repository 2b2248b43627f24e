import { createHmac } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';

/** Each part of NovaCron that opens the database, with a login role of its own: `novacron_<name>`. */
export const SERVICE_ROLES = ['identity', 'vms', 'storage', 'network', 'migration', 'monitoring', 'operations', 'gateway', 'agent'] as const;
export type ServiceRole = (typeof SERVICE_ROLES)[number];

export const roleName = (service: ServiceRole): string => `novacron_${service}`;

/**
 * The password of a service's role, derived from the owner's: whoever may migrate the database needs to keep one
 * secret, and a process that is given its service's URL alone can't find the others'.
 */
export function rolePassword(ownerUrl: string, service: ServiceRole): string | null {
  const secret = decodeURIComponent(new URL(ownerUrl).password);
  // An owner that logs in without a password (peer, trust): so do the services' roles.
  return secret === '' ? null : createHmac('sha256', secret).update(roleName(service)).digest('base64url');
}

/**
 * How a service reaches the database. Given the owner's URL, its role and password are put in; given a URL that is
 * already the service's own (a process that must not know the owner's), it is used as it is.
 */
export function serviceDatabaseUrl(databaseUrl: string, service: ServiceRole): string {
  const url = new URL(databaseUrl);
  if (SERVICE_ROLES.some((role) => decodeURIComponent(url.username) === roleName(role))) return databaseUrl;
  url.password = rolePassword(databaseUrl, service) ?? '';
  url.username = roleName(service);
  return url.toString();
}

/** Prisma's adapter for a service's schema. The adapter qualifies generated queries only: raw SQL needs the search_path. */
export const prismaAdapter = (databaseUrl: string, service: ServiceRole, connections = 10): PrismaPg =>
  new PrismaPg(
    {
      connectionString: serviceDatabaseUrl(databaseUrl, service),
      options: `-c search_path=${service}`,
      max: connections,
      connectionTimeoutMillis: 5_000,
      query_timeout: 15_000,
      keepAlive: true,
    },
    { schema: service, onPoolError: () => {} }, // an idle connection that dies is replaced at the next query
  );

/** A plain pool with a service's role, for what needs no models. */
export function postgresPool(databaseUrl: string, service: ServiceRole, connections = 4, queryTimeoutMs = 15_000): pg.Pool {
  const pool = new pg.Pool({
    connectionString: serviceDatabaseUrl(databaseUrl, service),
    max: connections,
    // A server that is silently gone must not be waited for: nothing would say so for a quarter of an hour.
    connectionTimeoutMillis: 5_000,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
  });
  // An idle connection that dies is replaced at the next query; without a listener it would end the process.
  pool.on('error', () => {});
  return pool;
}
