import { newId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { parse, type OperationDefinitionNode } from 'graphql';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Allowance, Caller } from '../src/rate-limits/allowance.ts';
import type { RateLimits } from '../src/rate-limits/rate-limits.ts';
import { allowed, LimitsFixture, refused, stranger, user } from './limits-fixture.ts';

let fixture: LimitsFixture;
beforeAll(async () => {
  fixture = await LimitsFixture.start();
});
afterEach(() => fixture.reset());
afterAll(() => fixture.stop());

async function admit(limits: RateLimits, caller: Caller): Promise<Allowance> {
  const allowance = limits.allowanceOf(caller);
  await allowance.admit();
  return allowance;
}

function charge(allowance: Allowance, text: string, { points = 1 } = {}) {
  const document = parse(text);
  const operation = document.definitions.find((one): one is OperationDefinitionNode => one.kind === 'OperationDefinition');
  if (operation === undefined) throw new Error('there is no operation in it');
  return allowance.charge({ document, operation, points });
}
async function attempt(limits: RateLimits, caller: Caller, text: string): Promise<Allowance> {
  const allowance = await admit(limits, caller);
  await charge(allowance, text);
  return allowance;
}
const LOGIN = 'mutation ($email: String!) { login(input: { email: $email, password: "x" }) { accessToken } }';

describe.each([
  ['shared by gateways through Redis', true],
  ['of a gateway alone', false],
])('a quota %s', (_what, isShared) => {
  it('lets exactly as many of 100 at once pass as it has', async () => {
    const one = await fixture.open({ pointsPerMinute: 10 }, { isShared });
    const other = isShared ? await fixture.open({ pointsPerMinute: 10 }) : one;
    const caller = user();
    expect(await allowed(Array.from({ length: 100 }, (_, index) => admit((index % 2 === 0 ? one : other).limits, caller)))).toBe(10);
    expect(await allowed([admit(one.limits, user())])).toBe(1);
  });

  it('comes back as what was used leaves the window, and not before', async () => {
    const { limits } = await fixture.open({ pointsPerMinute: 4 }, { isShared });
    const caller = user();
    fixture.now = Math.ceil(fixture.now / 1_000) * 1_000;
    await admit(limits, caller);
    fixture.now += 30_000;
    for (let count = 0; count < 3; count += 1) await admit(limits, caller);
    const late = limits.allowanceOf(caller);
    const first = await refused(late.admit());
    expect(first).toMatchObject({ code: 'RATE_LIMITED', retryable: true, message: 'Too much was asked for within a minute: try again in 31 s.' });
    expect(first.fields).toEqual({ 'retry-after': '31' });
    expect(late.fields()).toEqual({ 'retry-after': '31', 'ratelimit-policy': '"api";q=4;w=60', ratelimit: '"api";r=0;t=31' });
    fixture.now += 30_999;
    expect(await allowed([admit(limits, caller)])).toBe(0);
    fixture.now += 1;
    expect(await allowed([1, 2].map(() => admit(limits, caller)))).toBe(1);
    fixture.now += 30_000;
    expect(await allowed([1, 2, 3, 4].map(() => admit(limits, caller)))).toBe(3);
  });

  it('is charged what an operation is going to cost, and corrected to what it did', async () => {
    const { limits } = await fixture.open({ pointsPerMinute: 100 }, { isShared });
    const caller = user();
    const allowance = await admit(limits, caller);
    await charge(allowance, '{ vms { id } }', { points: 80 });
    expect(allowance.fields()['ratelimit']).toMatch(/^"api";r=20;t=\d+$/);
    const other = await admit(limits, caller);
    await refused(charge(other, '{ vms { id } }', { points: 80 }));
    expect(other.fields()['ratelimit']).toMatch(/^"api";r=19;/);
    fixture.now += 5_000; // the correction belongs to where the charge was
    allowance.settle(30);
    expect(allowance.fields()['ratelimit']).toMatch(/^"api";r=70;/);
    const next = await admit(limits, caller);
    expect(next.fields()['ratelimit']).toMatch(/^"api";r=68;/);
    fixture.now += 61_000;
    expect((await admit(limits, caller)).fields()['ratelimit']).toMatch(/^"api";r=99;/);
  });

  it('lets an operation run that costs more than all of it, alone', async () => {
    const { limits } = await fixture.open({ pointsPerMinute: 10 }, { isShared });
    const caller = user();
    const allowance = await admit(limits, caller);
    await charge(allowance, '{ vms { id } }', { points: 1_000 });
    await refused(admit(limits, caller));
    allowance.settle(3);
    expect((await admit(limits, caller)).fields()['ratelimit']).toMatch(/^"api";r=6;/);
  });

  it('counts attempts to sign in by address', async () => {
    const { limits, counted } = await fixture.open({ loginsPerMinute: 5 }, { isShared });
    const caller = stranger();
    expect(await allowed(Array.from({ length: 20 }, () => attempt(limits, caller, LOGIN)))).toBe(5);
    const late = limits.allowanceOf(caller);
    const error = await refused(charge(late, LOGIN));
    expect(error.message).toMatch(/^Too many attempts to sign in within a minute: try again in \d\d s\.$/);
    expect(late.fields()).toMatchObject({ 'retry-after': expect.stringMatching(/^(60|61)$/), 'ratelimit-policy': '"login";q=5;w=60', ratelimit: expect.stringMatching(/^"login";r=0;t=\d+$/) });
    expect(await counted('rateLimited')).toEqual(['login 16']);
    expect(await allowed([attempt(limits, stranger('198.51.100.7'), LOGIN)])).toBe(1);
    fixture.now += 61_000;
    expect(await allowed([attempt(limits, caller, LOGIN)])).toBe(1);
  });

  it('counts them however they are written, and holds nothing that was typed', async () => {
    const { limits, redis } = await fixture.open({ loginsPerMinute: 4 }, { isShared });
    const email = `${newId()}@example.test`;
    const caller = stranger();
    const ways = [
      `mutation { login(input: { email: "${email}", password: "x" }) { accessToken } }`,
      'mutation ($input: LoginInput!) { signIn: login(input: $input) { accessToken } }',
      `mutation ($email: String = "${email}") { ... on Mutation { ...All } } fragment All on Mutation { login(input: { email: $email }) { accessToken } }`,
      'mutation { resetPassword(token: "x", newPassword: "y") { accessToken } }',
    ];
    for (const text of ways) await attempt(limits, caller, text);
    await refused(attempt(limits, caller, LOGIN));
    expect((await redis.keys('*')).join()).not.toContain(email);
  });

  it('counts each of several attempts in one document, and takes none of them when they are too many', async () => {
    const { limits } = await fixture.open({ loginsPerMinute: 5 }, { isShared });
    const caller = stranger();
    const aliases = (count: number) => `mutation { ${Array.from({ length: count }, (_, index) => `a${index}: login(input: { email: "${newId()}@example.test" }) { accessToken }`).join(' ')} }`;
    await refused(attempt(limits, caller, aliases(6)));
    await attempt(limits, caller, aliases(4));
    await refused(attempt(limits, caller, aliases(2)));
    expect(await allowed([attempt(limits, caller, aliases(1))])).toBe(1);
    expect(await allowed([attempt(limits, caller, aliases(1))])).toBe(0);
  });

  it('counts accounts that are made, and mails that are asked for, by address', async () => {
    const { limits } = await fixture.open({ registrationsPerMinute: 3, loginsPerMinute: 5 }, { isShared });
    const caller = stranger();
    const register = 'mutation { register(input: { email: "a@example.test" }) { id } requestPasswordReset(email: "a@example.test") }';
    expect(await allowed(Array.from({ length: 8 }, () => attempt(limits, caller, register)))).toBe(1);
    await refused(attempt(limits, caller, register));
    expect(await allowed([attempt(limits, caller, LOGIN)])).toBe(1);
  });

  it('counts what hashes a password by address, whoever has signed in, apart from signing in', async () => {
    const { limits } = await fixture.open({ loginsPerMinute: 2 }, { isShared });
    const { address } = stranger('198.51.100.77');
    const someone = () => ({ ...user(), address });
    await attempt(limits, someone(), 'mutation { changePassword(currentPassword: "a", newPassword: "b") }');
    await attempt(limits, someone(), 'mutation { deleteAccount(password: "a") }');
    expect((await refused(attempt(limits, someone(), 'mutation { requestEmailChange(newEmail: "a", password: "b") }'))).message).toMatch(/^Passwords were asked for too often within a minute/);
    await refused(attempt(limits, { viewer: null, address }, 'mutation { acceptInvitation(token: "a", password: "b") { accessToken } }'));
    const make = 'mutation { createUser(input: { email: "a" }) { id } }';
    expect(await allowed(Array.from({ length: 30 }, () => attempt(limits, someone(), make)))).toBe(24);
    expect(await allowed(Array.from({ length: 4 }, () => attempt(limits, { viewer: null, address }, LOGIN)))).toBe(2);
  });

  it('of 0 is none', async () => {
    const { limits } = await fixture.open({}, { isShared });
    const caller = stranger();
    expect(await allowed(Array.from({ length: 50 }, () => attempt(limits, caller, LOGIN)))).toBe(50);
    expect((await admit(limits, caller)).fields()).toEqual({});
  });
});

describe('a quota', () => {
  it('slides by the clock of Redis, which is one for all gateways', async () => {
    const one = await fixture.open({ pointsPerMinute: 2 }, { byRedisClock: true });
    const other = await fixture.open({ pointsPerMinute: 2 }, { byRedisClock: true });
    const caller = user();
    await admit(one.limits, caller);
    expect((await admit(other.limits, caller)).fields()).toEqual({ 'ratelimit-policy': '"api";q=2;w=60', ratelimit: expect.stringMatching(/^"api";r=0;t=(60|61)$/) });
    await refused(admit(one.limits, caller));
  });

  it('leaves nothing behind in Redis', async () => {
    const { limits, redis } = await fixture.open({ pointsPerMinute: 10, loginsPerMinute: 5 });
    const caller = stranger('203.0.113.200');
    const allowance = await attempt(limits, caller, LOGIN);
    const keys = await redis.keys('novacron.limit:*');
    expect((await Promise.all(keys.map((key) => redis.pttl(key)))).filter((ms) => ms <= 0 || ms > 61_000)).toEqual([]);
    await redis.del(...keys);
    allowance.settle(5);
    await redis.ping();
    expect(await redis.keys('novacron.limit:*')).toEqual([]);
  });
});

describe('while Redis is away', () => {
  it('points are not counted, attempts by each gateway alone, and that is said once', async () => {
    const own = await LimitsFixture.start();
    try {
      const { limits, redis, counted } = await own.open({ pointsPerMinute: 2, loginsPerMinute: 5, connectionsPerUser: 2 }, { byRedisClock: true });
      const caller = stranger();
      await admit(limits, caller);
      const before = await limits.holdConnection(user());
      own.server.kill();
      await eventually('the connection to be lost', () => redis.status !== 'ready');
      expect(await allowed(Array.from({ length: 10 }, () => admit(limits, caller)))).toBe(10);
      expect((await admit(limits, caller)).fields()).toEqual({ 'ratelimit-policy': '"api";q=2;w=60' });
      expect(await allowed(Array.from({ length: 10 }, () => attempt(limits, caller, LOGIN)))).toBe(5);
      const held = user();
      expect(await allowed(Array.from({ length: 10 }, () => limits.holdConnection(held)))).toBe(2);
      before.release();
      expect(await counted('rateUnchecked')).toEqual(['api 21']);
      const said = (beginning: string) => own.lines.filter((line) => line.startsWith(beginning));
      expect(said('Redis is away')).toHaveLength(1);
      await own.server.restart();
      await eventually('Redis to count again', async () => 'ratelimit' in (await admit(limits, user())).fields());
      expect(said('Redis is back')).toHaveLength(1);
      await eventually('Redis to know who holds what', async () => (await redis.hvals(`novacron.places:connections:user:${held.viewer.userId}`)).join() === '2');
    } finally {
      await own.stop();
    }
  });
});
