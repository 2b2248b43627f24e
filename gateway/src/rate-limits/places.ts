import { newId } from '@novacron/core';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** One of so many that a caller may hold at once. */
export interface Claim {
  /** What it is a place among: "connections:user:<id>". */
  key: string;
  /** At most so many, in all gateways together. */
  limit: number;
}

export interface Place {
  /** Gives it back; once is enough. */
  release(): void;
}

/** What callers hold at once: connections, subscriptions. */
export interface Places {
  /** A place of each, or the index of the claim that has none left. */
  take(claims: readonly Claim[]): Promise<Place | number>;
  close(): Promise<void>;
}

/** How often a gateway says that it lives, and how long it is believed. */
const HEARTBEAT_MS = 5_000;
const BELIEVED_MS = 20_000;
/** Longer than a connection usually lives. The key of someone who holds nothing is gone at once, unless the gateway was killed. */
const KEPT_MS = 24 * 3_600_000;

const KEYS = 'novacron.places:';
const ALIVE = 'novacron.places.alive:';

/**
 * KEYS: a hash for each claim, of gateway to count. ARGV: which gateway asks, then each limit. What a gateway held that
 * lives no more is forgotten on the way. Answers with the number of the claim that is refused, from 1, or with 0.
 */
const TAKE = `
for i, key in ipairs(KEYS) do
  local held = 0
  local fields = redis.call('HGETALL', key)
  for j = 1, #fields, 2 do
    if fields[j] == ARGV[1] or redis.call('EXISTS', '${ALIVE}' .. fields[j]) == 1 then
      held = held + fields[j + 1]
    else
      redis.call('HDEL', key, fields[j])
    end
  end
  if held >= tonumber(ARGV[i + 1]) then return i end
end
for _, key in ipairs(KEYS) do
  redis.call('HINCRBY', key, ARGV[1], 1)
  redis.call('PEXPIRE', key, ${KEPT_MS})
end
return 0`;

const RELEASE = `
for _, key in ipairs(KEYS) do
  local held = redis.call('HINCRBY', key, ARGV[1], -1)
  if held <= 0 then redis.call('HDEL', key, ARGV[1]) end
end`;

/** What defineCommand adds to a connection. */
interface Scripts {
  novacronTakePlaces(keys: number, ...args: (string | number)[]): Promise<number>;
  novacronReleasePlaces(keys: number, ...args: (string | number)[]): Promise<null>;
}

/**
 * Counts in Redis, one number for each caller and gateway, and the same numbers here. A gateway that was killed is
 * forgotten after 20 s. While Redis is away each gateway counts alone; whenever the two may differ (it was away, was
 * emptied, or took us for dead) the gateway begins again in Redis under a new name, with what it really holds.
 */
export function createPlaces(redis: Redis | null, logger: Logger): Places {
  redis?.defineCommand('novacronTakePlaces', { lua: TAKE });
  redis?.defineCommand('novacronReleasePlaces', { lua: RELEASE });
  const scripts = redis as unknown as Scripts | null; // defineCommand has just made them
  const held = new Map<string, number>();
  let gateway = newId();
  let isSure = false;

  function count(claims: readonly Claim[], by: 1 | -1): void {
    for (const { key } of claims) {
      const now = (held.get(key) ?? 0) + by;
      if (now > 0) held.set(key, now);
      else held.delete(key);
    }
  }

  async function begin(client: Redis): Promise<void> {
    const former = gateway;
    gateway = newId();
    isSure = true; // until something fails from here on
    const commands = client.pipeline().del(ALIVE + former).set(ALIVE + gateway, 1, 'PX', BELIEVED_MS);
    for (const [key, places] of held) commands.hset(KEYS + key, gateway, places).pexpire(KEYS + key, KEPT_MS);
    const failed = (await commands.exec())?.find(([error]) => error !== null);
    if (failed?.[0]) throw failed[0];
  }

  async function beat(): Promise<void> {
    if (redis === null) return;
    try {
      const known = isSure ? await redis.set(ALIVE + gateway, 1, 'PX', BELIEVED_MS, 'GET') : null;
      if (known === null) await begin(redis);
    } catch (err) {
      isSure = false;
      logger.debug({ err }, 'what callers hold is not shared with other gateways');
    }
  }
  let first: Promise<void> | undefined;
  let heartbeat: NodeJS.Timeout | undefined;

  /** With the first place that anybody wants. */
  async function live(): Promise<void> {
    first = beat();
    heartbeat = setInterval(() => void beat(), HEARTBEAT_MS);
    heartbeat.unref();
    await first;
  }

  /** What is held here alone decides: at most the limit for each gateway. */
  function takeHere(claims: readonly Claim[]): number {
    const refused = claims.findIndex(({ key, limit }) => (held.get(key) ?? 0) > limit) + 1;
    if (refused > 0) count(claims, -1); // before another one is looked at
    return refused;
  }

  async function takeThere(client: Scripts, claims: readonly Claim[]): Promise<number> {
    const name = gateway;
    try {
      const refused = await client.novacronTakePlaces(claims.length, ...claims.map(({ key }) => KEYS + key), name, ...claims.map(({ limit }) => limit));
      if (refused > 0) count(claims, -1);
      if (name !== gateway) isSure = false; // counted under a name that is no more
      return refused;
    } catch {
      isSure = false;
      return takeHere(claims);
    }
  }

  function giveBack(claims: readonly Claim[]): void {
    count(claims, -1);
    scripts?.novacronReleasePlaces(claims.length, ...claims.map(({ key }) => KEYS + key), gateway).catch(() => (isSure = false));
  }

  return {
    async take(claims) {
      await (first ?? live());
      count(claims, 1); // before it is sure: whatever begins meanwhile knows of it
      const refused = scripts === null ? takeHere(claims) : await takeThere(scripts, claims);
      if (refused > 0) return refused - 1;
      let isHeld = true;
      return {
        release() {
          if (isHeld) giveBack(claims);
          isHeld = false;
        },
      };
    },
    async close() {
      clearInterval(heartbeat);
      if (first !== undefined) await redis?.del(ALIVE + gateway).catch(() => undefined); // it ends by itself
    },
  };
}
