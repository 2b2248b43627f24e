import type { RedisOptions } from 'ioredis';
import { LocalError } from './progress.ts';

/** Options of a connection; the constructors of ioredis 6 refuse a plain RedisOptions, whose replies may be mapped. */
export type RedisTarget = RedisOptions & { replyMapping?: never };

/**
 * Connection options for ioredis and BullMQ from a URL: redis://, rediss://, or, for a UNIX socket,
 * unix:///path?password=...&db=0. ioredis itself takes no such scheme (its parseURL knows redis:,
 * rediss: and bare paths), and BullMQ wants options.
 */
export function redisOptions(url: string): RedisTarget {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const query = parsed?.searchParams;
  const db = query?.get('db') ?? (parsed?.protocol === 'unix:' ? '' : parsed?.pathname.slice(1)) ?? '';
  if (!/^\d*$/.test(db)) throw new LocalError(`REDIS_URL names the database "${db}", which is not a number.`);
  const username = decodeURIComponent(parsed?.username ?? '') || query?.get('username');
  const password = decodeURIComponent(parsed?.password ?? '') || query?.get('password');
  const login = { ...(db && { db: Number(db) }), ...(username && { username }), ...(password && { password }) };
  switch (parsed?.protocol) {
    case 'unix:':
      return { path: decodeURIComponent(parsed.pathname), ...login };
    case 'redis:':
    case 'rediss:':
      return {
        host: parsed.hostname.replace(/^\[|\]$/g, '') || 'localhost', // an IPv6 address comes in brackets
        port: Number(parsed.port || 6379),
        ...login,
        ...(parsed.protocol === 'rediss:' && { tls: {} }),
      };
    default:
      throw new LocalError('REDIS_URL must start with redis://, rediss:// or unix:///.');
  }
}
