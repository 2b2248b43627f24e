import { newId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import type { Viewer } from '@novacron/contracts';
import { connectRedis, redisReady } from '@novacron/redis';
import { startRedis, type TestRedis } from '@novacron/testkit';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import type { Caller } from '../src/rate-limits/allowance.ts';
import { RateLimited } from '../src/rate-limits/quota.ts';
import { createRateLimits, type RateLimits } from '../src/rate-limits/rate-limits.ts';
import { UNLIMITED, type RateLimitSettings } from '../src/rate-limits/settings.ts';
import { createTelemetry } from '../src/telemetry.ts';

export interface LimitsOf {
  limits: RateLimits;
  redis: Redis;
  /** What was counted, as "limit count". */
  counted(counter: 'rateLimited' | 'rateUnchecked'): Promise<string[]>;
}

/** The limits of several gateways over one Redis. */
export class LimitsFixture {
  readonly server: TestRedis;
  /** What was logged. */
  readonly lines: string[] = [];
  /** The clock, unless a gateway goes by that of Redis. */
  now = Date.now();
  readonly #connections: Redis[] = [];
  readonly #opened: RateLimits[] = [];

  constructor(server: TestRedis) {
    this.server = server;
  }

  static async start(): Promise<LimitsFixture> {
    return new LimitsFixture(await startRedis());
  }

  /** One more gateway's. Alone: it counts without Redis. */
  async open(settings: Partial<RateLimitSettings>, { isShared = true, byRedisClock = false } = {}): Promise<LimitsOf> {
    const redis = await redisReady(connectRedis(this.server.options));
    this.#connections.push(redis);
    const telemetry = createTelemetry();
    const logger = pino({ level: 'info' }, { write: (line: string) => void this.lines.push((JSON.parse(line) as { msg: string }).msg) });
    const now = byRedisClock ? undefined : () => this.now;
    const limits = createRateLimits({ settings: { ...UNLIMITED, ...settings }, redis: isShared ? redis : null, telemetry, logger, now });
    this.#opened.push(limits);
    const counted: LimitsOf['counted'] = async (counter) => (await telemetry[counter].get()).values.map(({ labels, value }) => `${labels.limit} ${value}`);
    return { limits, redis, counted };
  }

  /** Closes what was opened; the server stays, with what is in it. */
  async reset(): Promise<void> {
    await Promise.all(this.#opened.splice(0).map((limits) => limits.close()));
    for (const redis of this.#connections.splice(0)) redis.disconnect();
    this.lines.length = 0;
    this.now = Date.now();
  }

  async stop(): Promise<void> {
    await this.reset();
    await this.server.stop();
  }
}

let strangers = 0;
/** Somebody from an address that nobody else has: a window outlives its test. */
export const stranger = (address = `198.18.0.${(strangers += 1)}`): Caller => ({ viewer: null, address });
export const user = (tenantId = newId<TenantId>()): { viewer: Viewer; address: string } => ({
  viewer: { userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: [{ role: 'operator', tenantId }] },
  address: '192.0.2.251',
});

const refusal = (error: unknown): RateLimited => {
  if (error instanceof RateLimited) return error;
  throw error;
};
/** How it was refused; fails when it was not. */
export const refused = async (asked: Promise<unknown>) => refusal(await asked.then(() => new Error('it was allowed'), (error: unknown) => error));
/** How many of them were allowed; the rest was refused, and nothing else. */
export const allowed = async (asked: Promise<unknown>[]) =>
  (await Promise.allSettled(asked)).filter((one) => one.status === 'fulfilled' || refusal(one.reason) === undefined).length;
