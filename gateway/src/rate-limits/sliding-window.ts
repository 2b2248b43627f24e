import type { Redis } from 'ioredis';
import type { Charge, Standing } from './quota.ts';

/**
 * Windows that slide: a quota holds for any time as long as its window, not for each minute of the clock, at whose turn
 * twice as much would pass. A window is counted in slices, so that it costs the same whoever uses it.
 */
export const SLICES = 60;

/** All of the charges are taken, or none. */
export interface Windows {
  charge(charges: readonly Charge[]): Promise<Standing[]>;
  /** Corrects what a charge turned out to be. Nothing, once its slice has left the window. */
  correct(charge: Charge, slice: number, points: number): Promise<void>;
}

/** Of a slice nothing leaves before the whole of it has been in the window for the window's time. */
const LIVE = SLICES + 1;

/**
 * KEYS: one window each. ARGV: the time in ms, empty for Redis' own, which is one for all gateways; then points, quota
 * and slice in ms for each key. Answers with remaining, reset, wait and slice for each.
 */
const CHARGE = `
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local windows, refused = {}, false
for i, key in ipairs(KEYS) do
  local points, quota, width = tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  local slice = math.floor(now / width)
  local used, oldest, wait = 0, slice, 0
  local fields = redis.call('HGETALL', key)
  for j = 1, #fields, 2 do
    local at = tonumber(fields[j])
    if at > slice - ${LIVE} then
      used = used + fields[j + 1]
      if at < oldest then oldest = at end
    else
      redis.call('HDEL', key, fields[j])
    end
  end
  if used + points > quota then
    refused = true
    wait = width * ${LIVE}
    local rest = used
    for at = oldest, slice do
      rest = rest - (redis.call('HGET', key, at) or 0)
      if rest + points <= quota then
        wait = (at + ${LIVE}) * width - now
        break
      end
    end
  end
  windows[i] = { points, quota, width, slice, used, oldest, wait }
end
local answer = {}
for i, key in ipairs(KEYS) do
  local points, quota, width, slice, used, oldest, wait = unpack(windows[i])
  if not refused and points > 0 then
    redis.call('HINCRBY', key, slice, points)
    redis.call('PEXPIRE', key, width * ${LIVE})
    used = used + points
  end
  answer[#answer + 1] = math.max(0, quota - used)
  answer[#answer + 1] = math.ceil((oldest + ${LIVE}) * width - now)
  answer[#answer + 1] = math.ceil(wait)
  answer[#answer + 1] = slice
end
return answer`;

/** A key that is gone stays gone: made again here it would never expire. */
const CORRECT = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2]) end`;

/** What defineCommand adds to a connection. */
interface Scripts {
  novacronChargeWindows(keys: number, ...args: (string | number)[]): Promise<number[]>;
  novacronCorrectWindow(keys: number, ...args: (string | number)[]): Promise<null>;
}

const keyOf = ({ quota, key }: Charge): string => `novacron.limit:${quota.name}:${key}`;

/** Windows in Redis, which all gateways share. The clock is Redis' own, unless a test has another. Rejects while Redis is away. */
export function redisWindows(redis: Redis, now?: () => number): Windows {
  redis.defineCommand('novacronChargeWindows', { lua: CHARGE });
  redis.defineCommand('novacronCorrectWindow', { lua: CORRECT });
  const scripts = redis as unknown as Scripts; // defineCommand has just made them
  return {
    async charge(charges) {
      const args = charges.flatMap(({ quota, points }) => [points, quota.points, quota.windowMs / SLICES]);
      const answer = await scripts.novacronChargeWindows(charges.length, ...charges.map(keyOf), now?.() ?? '', ...args);
      return charges.map(({ quota }, index) => {
        const [remaining = 0, resetMs = 0, waitMs = 0, slice = 0] = answer.slice(index * 4, index * 4 + 4);
        return { quota, remaining, resetMs, waitMs, slice };
      });
    },
    async correct(charge, slice, points) {
      await scripts.novacronCorrectWindow(1, keyOf(charge), slice, points);
    },
  };
}

/** Callers that one process remembers; the one that was heard of least recently makes room. */
const LOCAL_KEYS = 10_000;

/** The same windows for one process alone: where there is no Redis, or while it is away. */
export function localWindows(now: () => number = Date.now): Windows {
  const windows = new Map<string, Map<number, number>>();

  function weigh(charge: Charge): Standing {
    const { quota, points } = charge;
    const at = now();
    const width = quota.windowMs / SLICES;
    const slice = Math.floor(at / width);
    const live = [...(windows.get(keyOf(charge)) ?? [])].filter(([start]) => start > slice - LIVE);
    const used = live.reduce((sum, [, count]) => sum + count, 0);
    const leavesAfter = (start: number): number => (start + LIVE) * width - at;
    let waitMs = 0;
    let rest = used;
    for (const [start, count] of live) {
      if (rest + points <= quota.points) break;
      rest -= count;
      waitMs = leavesAfter(start);
    }
    if (rest + points > quota.points) waitMs = LIVE * width; // never, at once
    return { quota, remaining: Math.max(0, quota.points - used), resetMs: leavesAfter(live[0]?.[0] ?? slice), waitMs, slice };
  }

  function add(charge: Charge, slice: number, points: number): void {
    const key = keyOf(charge);
    const counts = new Map([...(windows.get(key) ?? [])].filter(([start]) => start > slice - LIVE));
    counts.set(slice, (counts.get(slice) ?? 0) + points);
    windows.delete(key);
    windows.set(key, counts);
    if (windows.size > LOCAL_KEYS) windows.delete(windows.keys().next().value ?? '');
  }

  return {
    async charge(charges) {
      const weighed = charges.map(weigh);
      if (weighed.some(({ waitMs }) => waitMs > 0)) return weighed;
      for (const charge of charges) add(charge, weigh(charge).slice, charge.points);
      return charges.map(({ quota, key }) => weigh({ quota, key, points: 0 }));
    },
    async correct(charge, slice, points) {
      if (windows.get(keyOf(charge))?.has(slice) === true) add(charge, slice, points);
    },
  };
}
