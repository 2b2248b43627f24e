import { newId, type TenantId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { allowed, LimitsFixture, refused, user } from './limits-fixture.ts';

let fixture: LimitsFixture;
beforeAll(async () => {
  fixture = await LimitsFixture.start();
});
afterEach(() => fixture.reset());
afterAll(() => fixture.stop());

describe.each([
  ['in all gateways together', true],
  ['of a gateway alone', false],
])('places %s', (_what, isShared) => {
  it('are held by as many as there are, and given back', async () => {
    const one = await fixture.open({ connectionsPerUser: 10 }, { isShared });
    const other = isShared ? await fixture.open({ connectionsPerUser: 10 }) : one;
    const caller = user();
    const asked = await Promise.allSettled(Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? one : other).limits.holdConnection(caller)));
    const held = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(held).toHaveLength(10);
    expect((await refused(one.limits.holdConnection(caller))).message).toBe('One user holds at most 10 connections at once: try again in 10 s.');
    expect(await allowed([one.limits.holdConnection(user())])).toBe(1);
    held[0]?.release();
    held[0]?.release();
    await eventually('a place to be free', async () => (await allowed([one.limits.holdConnection(caller)])) === 1);
    await refused(other.limits.holdConnection(caller));
  });

  it('are counted by address where nobody has signed in, IPv6 by its network', async () => {
    const { limits } = await fixture.open({ connectionsPerAddress: 2 }, { isShared });
    const at = (address: string) => limits.holdConnection({ viewer: null, address });
    await at('2001:db8:1:2::1');
    await at('2001:db8:1:2:ffff:ffff:ffff:ffff');
    await refused(at('2001:db8:1:2:3::'));
    await at('2001:db8:1:3::1');
    await at('198.51.100.1');
    await at('::ffff:198.51.100.1');
    expect((await refused(at('198.51.100.1'))).message).toMatch(/^One address holds at most 2 connections/);
  });

  it('of subscriptions are those of a user and of its tenants', async () => {
    const { limits } = await fixture.open({ subscriptionsPerUser: 2, subscriptionsPerTenant: 3 }, { isShared });
    const tenant = newId<TenantId>();
    const [one, other] = [user(tenant).viewer, user(tenant).viewer];
    const place = await limits.holdSubscription(one);
    await limits.holdSubscription(one);
    expect((await refused(limits.holdSubscription(one))).message).toMatch(/^One user holds at most 2 subscriptions/);
    await limits.holdSubscription(other);
    expect((await refused(limits.holdSubscription(other))).message).toMatch(/^One tenant holds at most 3 subscriptions/);
    place.release();
    await eventually('a place to be free', async () => (await allowed([limits.holdSubscription(other)])) === 1);
  });
});

describe('places of a gateway', () => {
  it('that has stopped are free at once', async () => {
    const one = await fixture.open({ connectionsPerUser: 1 });
    const other = await fixture.open({ connectionsPerUser: 1 });
    const caller = user();
    await one.limits.holdConnection(caller);
    await refused(other.limits.holdConnection(caller));
    await one.limits.close();
    expect(await allowed([other.limits.holdConnection(caller)])).toBe(1);
  });

  it('that was killed are free when its word has run out', async () => {
    const one = await fixture.open({ connectionsPerUser: 1 });
    const other = await fixture.open({ connectionsPerUser: 1 });
    const caller = user();
    await one.limits.holdConnection(caller);
    const alive = await other.redis.keys('novacron.places.alive:*');
    expect((await Promise.all(alive.map((key) => other.redis.pttl(key)))).filter((ms) => ms <= 0 || ms > 20_000)).toEqual([]);
    await other.redis.del(...alive); // as if 20 s had passed
    expect(await allowed([other.limits.holdConnection(caller)])).toBe(1);
  });

  it('are known again after Redis was emptied', { timeout: 15_000 }, async () => {
    const one = await fixture.open({ connectionsPerUser: 2 });
    const other = await fixture.open({ connectionsPerUser: 2 });
    const caller = user();
    await one.limits.holdConnection(caller);
    await one.limits.holdConnection(caller);
    await one.redis.flushall();
    await eventually('the places to be known', async () => (await one.redis.hvals(`novacron.places:connections:user:${caller.viewer.userId}`)).join() === '2', { timeoutMs: 8_000 });
    expect(await allowed([other.limits.holdConnection(caller)])).toBe(0);
  });
});
