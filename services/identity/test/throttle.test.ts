import { graphql } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { LOGIN, login, makeUser, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let admin: Viewer;
let tenant: string;
let count = 0;
beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  tenant = admin.roles[0]!.tenantId; // bootstrap gave it
});
afterAll(() => identity?.close());

interface From {
  address: string;
  userAgent: string;
}
const HOME: From = { address: '198.51.100.7', userAgent: 'a browser' };
/** From another network each time. */
const elsewhere = (): From => ({ address: `203.0.113.${(count += 1) % 250}`, userAgent: 'curl' });

const signIn = async (email: string, password: string, from: From = elsewhere()) => (await identity.ask(null, LOGIN, { email, password }, from)).error;
const codeOf = async (email: string, password: string, from?: From) => (await signIn(email, password, from))?.code ?? 'signed in';
/** Guesses, as often as it is let, and what came of it. */
async function guess(email: string, times: number, from?: From): Promise<string[]> {
  const codes: string[] = [];
  for (let round = 0; round < times; round += 1) codes.push(await codeOf(email, 'a wrong password', from));
  return codes;
}
const attempts = (userId: string) => identity.sql('SELECT outcome, address, device, known FROM identity.sign_in_attempts WHERE user_id = $1 ORDER BY at, id', [userId]);
async function person(name: string): Promise<{ id: string; email: string }> {
  return { id: await makeUser(identity, admin, name, tenant, 'viewer'), email: `${name}@example.org` };
}

const FIVE = Array(5).fill('UNAUTHENTICATED');

describe('guesses at a password', () => {
  it('are refused after five, longer and longer, from whatever address, and for whatever name', async () => {
    const { email } = await person('guessed');
    for (const name of [email, 'nobody@example.org', 'nobody', 'no address at all']) {
      expect(await guess(name, 6)).toEqual([...FIVE, 'RATE_LIMITED']);
      expect(await signIn(name, PASSWORD)).toMatchObject({ code: 'RATE_LIMITED', retryable: true, message: expect.stringContaining('try again in 30 s') });
    }
    identity.clock.advance(29_999);
    expect(await codeOf(email, PASSWORD)).toBe('RATE_LIMITED');
    identity.clock.advance(1);
    for (const name of [email, 'nobody@example.org']) {
      expect(await guess(name, 2)).toEqual(['UNAUTHENTICATED', 'RATE_LIMITED']);
      expect(await signIn(name, PASSWORD)).toMatchObject({ message: expect.stringContaining('try again in 60 s') });
    }
    identity.clock.advance(60_000);
    expect(await codeOf(email, PASSWORD)).toBe('signed in');
    expect(await guess(email, 6)).toEqual([...FIVE, 'RATE_LIMITED']); // it began anew
  });

  it('keep nobody out who comes from where it has been before', async () => {
    const { id, email } = await person('besieged');
    expect(await codeOf(email, PASSWORD, HOME)).toBe('signed in');
    await guess(email, 8);
    expect(await codeOf(email, PASSWORD)).toBe('RATE_LIMITED');
    expect(await codeOf(email, PASSWORD, HOME)).toBe('signed in');
    expect(await codeOf(email.toUpperCase(), PASSWORD, { ...HOME, userAgent: 'another browser' })).toBe('RATE_LIMITED');
    expect((await attempts(id)).map(({ outcome, known }) => `${outcome} ${known}`)).toEqual([
      'succeeded false',
      ...Array(5).fill('wrong_password false'),
      ...Array(4).fill('locked false'),
      'succeeded true',
      'locked false',
    ]);
  });

  it('from a known device count for that one', async () => {
    const { email } = await person('clumsy');
    expect(await codeOf(email, PASSWORD, HOME)).toBe('signed in');
    expect(await guess(email, 6, HOME)).toEqual([...FIVE, 'RATE_LIMITED']);
    expect(await codeOf(email, PASSWORD, HOME)).toBe('RATE_LIMITED');
    expect(await codeOf(email, PASSWORD)).toBe('signed in');
  });

  it('at once are no more than one after the other', async () => {
    const { email } = await person('stormed');
    const codes = await Promise.all(Array.from({ length: 15 }, () => codeOf(email, 'a wrong password')));
    expect(codes.toSorted()).toEqual([...Array(10).fill('RATE_LIMITED'), ...FIVE]);
  });

  it('by two processes at once are counted all', async () => {
    const { id, email } = await person('doubly-stormed');
    const other = identity.another();
    const ask = async (service: typeof other) => {
      const request = { viewer: null, requestId: 'test', address: elsewhere().address, userAgent: null };
      const { errors } = await graphql({ schema: service.subgraph.schema, source: LOGIN, variableValues: { email, password: 'a wrong password' }, contextValue: service.subgraph.createContext(request) });
      return errors?.[0]?.message;
    };
    await Promise.all(Array.from({ length: 12 }, (_, index) => ask(index % 2 === 0 ? other : identity.service)));
    const looked = (await attempts(id)).filter(({ outcome }) => outcome === 'wrong_password');
    expect([5, 6]).toContain(looked.length); // of each process one may be under way
    expect(await codeOf(email, PASSWORD)).toBe('RATE_LIMITED');
  });

  it('are no more for who has registered with the same address', async () => {
    const { email } = await person('coveted');
    const register = (password: string) => identity.ask(null, 'mutation ($e: String!, $p: String!) { register(input: { email: $e, password: $p, name: "n" }) { accessToken } }', { e: email, p: password }, HOME);
    const guesses = Array.from({ length: 6 }, (_, index) => `guess number ${index}`);
    for (const one of guesses) {
      identity.clock.advance(1); // the newest of them is looked at
      await register(one);
      expect(await codeOf(email, one, HOME)).toBe('signed in'); // to its own
    }
    expect(await codeOf(email, PASSWORD)).toBe('UNAUTHENTICATED'); // the owner's is not looked at any more from there
    identity.clock.advance(30_000);
    expect(await codeOf(email, PASSWORD)).toBe('signed in');
  });

  it('are forgotten after a day without any', async () => {
    const { email } = await person('forgiven');
    await guess(email, 6);
    identity.clock.advance(24 * 3_600_000 + 1);
    expect(await guess(email, 6)).toEqual([...FIVE, 'RATE_LIMITED']);
  });

  it('by who has a session are refused, too', async () => {
    await person('robbed');
    const { viewer } = await login(identity, { email: 'robbed@example.org', password: PASSWORD });
    const change = async (currentPassword: string) =>
      (await identity.ask(viewer, 'mutation ($c: String!) { changePassword(currentPassword: $c, newPassword: "quite another password") }', { c: currentPassword })).error?.code ?? 'changed';
    const codes: string[] = [];
    for (let round = 0; round < 6; round += 1) codes.push(await change('a wrong password'));
    expect(codes).toEqual([...Array(5).fill('BAD_USER_INPUT'), 'RATE_LIMITED']);
    expect(await change(PASSWORD)).toBe('RATE_LIMITED');
    identity.clock.advance(30_000);
    expect(await change(PASSWORD)).toBe('changed');
  });
});

describe('a device', () => {
  it('that is new is told to the owner of the account, the first one excepted', async () => {
    const { id, email } = await person('traveller');
    const mails = async () => (await identity.sql('SELECT kind FROM identity.mails WHERE user_id = $1', [id])).map(({ kind }) => kind);
    await codeOf(email, PASSWORD, HOME);
    await codeOf(email, PASSWORD, HOME);
    expect(await mails()).toEqual([]);
    await codeOf(email, PASSWORD, { ...HOME, address: '2001:db8:1:2::1' });
    await codeOf(email, PASSWORD, { ...HOME, address: '2001:db8:1:2:ffff::2' }); // in the same network
    expect(await mails()).toEqual(['new_device']);
  });

  it('is known by hashes, and what was typed is, too', async () => {
    await signIn('my secret password', 'typed into the wrong field');
    const rows = await identity.sql("SELECT a::text AS row FROM identity.sign_in_attempts a UNION ALL SELECT t::text FROM identity.sign_in_throttles t UNION ALL SELECT d::text FROM identity.known_devices d");
    expect(rows.filter(({ row }) => /secret|wrong field/.test(row))).toEqual([]);
    expect(rows.length).toBeGreaterThan(10);
  });
});

it('remembers that a refresh token came back', async () => {
  const { id, email } = await person('reused');
  const { refreshToken } = await login(identity, { email, password: PASSWORD });
  const refresh = () => identity.ask(null, 'mutation ($t: String!) { refreshSession(refreshToken: $t) { accessToken } }', { t: refreshToken }, HOME);
  await refresh();
  await refresh();
  expect(await attempts(id)).toMatchObject([{ outcome: 'succeeded' }, { outcome: 'token_reused', address: HOME.address, device: HOME.userAgent }]);
});
