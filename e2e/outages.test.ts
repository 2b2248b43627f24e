import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenOfAge } from './kit/actors.ts';
import type { Graph, Loose } from './kit/client.ts';
import { registerHost } from './kit/embedded.ts';
import { startFleet, PARTS, type Fleet } from './kit/fleet.ts';
import { Follower } from './kit/follower.ts';
import { ADMIN, makePeople, type People } from './kit/people.ts';
import { descendants, isAlive } from './kit/process.ts';
import { createVm, haveVm, Operation, vmInput, type Vm } from './kit/vm.ts';

const CREATE = 'mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id } operation { id } } }';
const UPDATE = 'mutation ($input: UpdateVmInput!) { updateVm(input: $input) { vm { id } operation { id } } }';

let fleet: Fleet;
let people: People;
let me: Graph;
let vm: Vm;

beforeAll(async () => {
  fleet = await startFleet();
  people = await makePeople(fleet.graph);
  me = fleet.graph.as(people.operator);
  await registerHost(fleet.graph.as(people.platformAdmin), fleet.host);
  vm = await haveVm(me, fleet.guest);
}, 90_000);
afterAll(() => fleet?.close());

/** Whoever asks does so with a new token from now on. */
const signInAgain = async (): Promise<void> => void Object.assign(people.operator, await fleet.graph.login(people.operator.email, 'a password for tests'));

const signInViewer = async (): Promise<Graph> => fleet.graph.as(await fleet.graph.login(people.viewer.email, 'a password for tests'));
const sessionOf = async (graph: Graph): Promise<string> => (await graph.run('{ me { sessions { id current } } }'))['me'].sessions.find(({ current }: Loose) => current).id;

/** Sends until it is answered, as a client with an idempotency key may. */
const insist = (document: string, variables: object): Promise<Loose> =>
  eventually('an answer', () => me.run(document, variables), { timeoutMs: 40_000, intervalMs: 100 });

/** Every VM event of the tenant after a position, as a follower tells them. */
const committed = async (after: number) =>
  (
    await fleet.sql<{ text: string }>(
      `SELECT concat_ws(' ', type, entity_id, body -> 'after' ->> 'state', body -> 'after' ->> 'generation') AS text
       FROM operations.event_log WHERE type LIKE 'vm.%' AND tenant_id = $1 AND position > $2 ORDER BY position`,
      [people.acme, after],
    )
  ).map(({ text }) => text);
const head = async () => Number((await fleet.sql<{ head: string }>('SELECT head FROM operations.event_head'))[0]?.head);

/** Follows the tenant's VMs during `work`; what was heard is all that was committed, each once, in order. */
async function followed(work: (follower: Follower) => Promise<void>): Promise<Follower> {
  const from = await head();
  const follower = await Follower.follow(me);
  try {
    await me.run(UPDATE, { input: { id: vm.id, tags: [`from-${from}`] } });
    await eventually('the first event', () => follower.heard.length > 0);
    await work(follower);
    await eventually('all events', async () => follower.heard.length >= (await committed(from)).length, { timeoutMs: 20_000 });
    expect(follower.heard).toEqual(await committed(from));
    return follower;
  } finally {
    await follower.close();
  }
}

it('runs: every part answers through the one graph', async () => {
  const answer = await eventually('the VM to be measured', async () => {
    const read = await vm.read('state host { name } createdBy { email } operations { totalCount } metrics { cpu }');
    return read['metrics'] !== null && read;
  });
  expect(answer).toMatchObject({ state: 'RUNNING', host: { name: 'hv1' }, createdBy: { email: people.operator.email }, operations: { totalCount: 1 } });
});

describe('kill -9 of the vms and operations process', () => {
  it('lets the agent finish what is in flight, and says to clients that they may try again', async () => {
    await fleet.freezeLibvirt();
    const operation = await vm.asks('pause');
    await operation.isAtWork();
    await fleet.kill('core');
    await fleet.thawLibvirt();
    expect((await me.refused('{ vms { totalCount } }')).extensions).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(await me.run('{ me { email } }')).toEqual({ me: { email: people.operator.email } });
    await eventually('libvirt to have paused it', async () => (await fleet.host.virsh('domstate', `nc-${vm.id}`)) === 'paused');
    await fleet.start('core');
    await operation.succeeds();
    expect(await vm.read('state desiredState')).toEqual({ state: 'PAUSED', desiredState: 'PAUSED' });
    await vm.does('resume');
  });

  it('loses no mutation that was answered, and makes none twice that is sent again', async () => {
    const inputs = Array.from({ length: 12 }, (_, index) => vmInput(fleet.guest, { start: false, memory: '64MiB', idempotencyKey: `burst-${index}` }));
    const first = Promise.all(inputs.map((input) => me.ask(CREATE, { input })));
    await eventually('one of them to be accepted', async () => (await fleet.sql("SELECT 1 FROM operations.idempotency_key WHERE key LIKE 'burst-%'")).length > 0, { intervalMs: 1 });
    await fleet.kill('core');
    const answered = (await first).map(({ data }) => data?.['createVm']?.vm.id as string | undefined);
    await fleet.start('core');
    const again = await Promise.all(inputs.map((input) => insist(CREATE, { input })));
    const ids = again.map(({ createVm: { vm: made } }) => made.id as string);
    expect(answered.every((id, index) => id === undefined || id === ids[index])).toBe(true);
    expect(new Set(ids).size).toBe(12);
    await Promise.all(again.map(({ createVm: { operation } }) => new Operation(me, operation.id).succeeds()));
    const { vms } = await me.run('{ vms(first: 500, filter: { states: [STOPPED] }) { totalCount } }');
    expect(vms.totalCount).toBe(12);
  });
});

it('kill -9 of whoever numbers events: a session that ends is refused all the same, since Redis knows', async () => {
  const [lost, kept] = await Promise.all([signInViewer(), signInViewer()]);
  const id = await sessionOf(lost);
  await fleet.kill('core');
  await kept.run('mutation ($id: ID!) { revokeSession(id: $id) }', { id });
  expect(await eventually('a refusal', async () => (await lost.ask('{ me { email } }')).errors[0]?.extensions.code)).toBe('UNAUTHENTICATED');
  expect(await kept.run('{ me { email } }')).toEqual({ me: { email: people.viewer.email } });
  await fleet.start('core');
});

it('kill -9 of the gateway: a subscriber comes back and has missed nothing', async () => {
  const follower = await followed(async () => {
    await fleet.kill('gateway');
    await fleet.host.virsh('suspend', `nc-${vm.id}`); // while no gateway is there
    await eventually('the drift to be committed', async () => (await fleet.sql('SELECT 1 FROM vms.vm WHERE id = $1 AND state = $2', [vm.id, 'PAUSED'])).length > 0);
    await fleet.start('gateway');
    await vm.does('resume');
  });
  expect(follower.returns).toBeGreaterThan(0);
});

it('kill -9 of identity: those who are signed in go on, and others sign in when it is back', async () => {
  await fleet.kill('identity');
  expect(await vm.read('name')).toEqual({ name: vm.name });
  expect((await fleet.graph.refused('mutation { login(input: { email: "a@b.example", password: "x" }) { accessToken } }')).extensions).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  const stranger = await fleet.graph.as({ token: 'never.seen.before' }).refused('{ me { id } }');
  expect(stranger.extensions).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  await fleet.start('identity');
  expect(await me.run('{ me { email } }')).toEqual({ me: { email: people.operator.email } });
  await fleet.graph.login(people.viewer.email, 'a password for tests');
});

it('kill -9 of monitoring: VMs are answered without their metrics', async () => {
  await fleet.kill('monitoring');
  const { data, errors } = await me.ask('query ($id: ID!) { vm(id: $id) { name metrics { cpu } } }', { id: vm.id });
  expect(data).toEqual({ vm: { name: vm.name, metrics: null } });
  expect(errors).toMatchObject([{ path: ['vm', 'metrics'], extensions: { code: 'UNAVAILABLE', retryable: true } }]);
  await fleet.start('monitoring');
  await eventually('metrics', async () => (await vm.read('metrics { cpu }'))['metrics'] !== null);
});

describe('Redis', () => {
  it.each([
    ['killed', () => {}],
    ['killed, and its data gone', () => fleet.redis.wipe()],
  ])('%s: mutations are accepted meanwhile, and all of them are done', async (_what, meanwhile) => {
    await signInAgain(); // while Redis is away, tokens of the last minute are taken
    await followed(async () => {
      fleet.redis.kill();
      meanwhile();
      const operation = await vm.asks('pause'); // its bell can't be rung
      await me.run(UPDATE, { input: { id: vm.id, tags: ['without-redis'] } });
      expect((await vm.read())['state']).toBe('PAUSING');
      await fleet.redis.restart();
      await operation.succeeds();
      await vm.does('resume');
    });
  });

  it.each([
    ['killed', () => {}],
    ['killed, and its data gone', () => fleet.redis.wipe()],
  ])('%s: old tokens have to wait, and what has ended stays ended', async (_what, meanwhile) => {
    const old = fleet.graph.as({ token: await tokenOfAge(fleet, 2 * 60_000) });
    expect((await old.run('{ me { email } }'))['me'].email).toBe(ADMIN.email);
    const [before, lost, kept] = await Promise.all([signInViewer(), signInViewer(), signInViewer()]);
    const id = await sessionOf(lost);
    await before.run('mutation { logout }');
    const subscription = await lost.subscribe('subscription { vmChanged { cursor } }');
    fleet.redis.kill();
    const waits = await eventually('the old token to have to wait', async () => (await old.ask('{ me { email } }')).errors[0]); // what was asked a moment ago is believed for as long
    expect(waits.extensions).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(await kept.run('mutation ($id: ID!) { revokeSession(id: $id) }', { id })).toEqual({ revokeSession: true });
    expect(await subscription.code()).toBe(4403);
    await subscription.close();
    const codeFor = async (graph: Graph) => (await graph.ask('{ me { email } }')).errors[0]?.extensions.code;
    expect(await codeFor(lost)).toBe('UNAUTHENTICATED');
    expect(await codeFor(before)).toBe('UNAUTHENTICATED');
    meanwhile();
    await fleet.redis.restart();
    expect((await eventually('the old token to be taken again', async () => (await old.ask('{ me { email } }')).data))['me'].email).toBe(ADMIN.email);
    expect([await codeFor(before), await codeFor(lost), await codeFor(kept)]).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED', undefined]);
  });

  it('tells what is measured again when it is back', async () => {
    await signInAgain();
    const subscription = await me.subscribe('subscription { vmMetrics(intervalMs: 1000) { at cpu } }');
    await eventually('a sample', () => subscription.messages.length > 0);
    fleet.redis.kill();
    const { length } = subscription.messages;
    await fleet.redis.restart();
    await eventually('samples again', () => subscription.messages.length > length + 2, { timeoutMs: 20_000 });
    expect(subscription.ended).toBeNull();
    await subscription.close();
  });
});

it('PostgreSQL ends at once in the middle of everything, twice: nothing that was answered is lost', async () => {
  const from = await head();
  const accepted: { tag: string; operation: string }[] = [];
  const follower = await followed(async () => {
    for (const outage of ['first', 'second']) {
      const load = Promise.all(
        Array.from({ length: 10 }, async (_, index) => {
          const tag = `${outage}-${index}`;
          const { updateVm } = await insist(UPDATE, { input: { id: vm.id, tags: [tag] } });
          accepted.push({ tag, operation: updateVm.operation.id });
        }),
      );
      const { operation } = await createVm(me, fleet.guest, { start: false, memory: '64MiB' });
      await fleet.postgres.crash();
      expect((await me.refused('{ vms { totalCount } }')).extensions).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
      expect((await me.refused(UPDATE, { input: { id: vm.id, tags: [] } })).extensions).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
      await fleet.postgres.restart();
      await load;
      await operation.succeeds();
    }
    const paused = await insist('mutation ($id: ID!) { pauseVm(id: $id) { operation { id } } }', { id: vm.id });
    await new Operation(me, paused['pauseVm'].operation.id).succeeds();
  });
  expect(accepted).toHaveLength(20);
  expect(follower.heard.length).toBe((await committed(from)).length);
  for (const { operation } of accepted) await new Operation(me, operation).succeeds();
  expect(await fleet.host.virsh('domstate', `nc-${vm.id}`)).toBe('paused');
  const [open] = await fleet.sql<{ count: number }>('SELECT count(*)::int AS count FROM operations.operation WHERE finished_at IS NULL');
  expect(open).toEqual({ count: 0 });
});

it('PostgreSQL cuts every connection while a step is being recorded: it is done all the same', async () => {
  const sleeper = await haveVm(me, fleet.guest);
  await fleet.freezeLibvirt();
  const operation = await sleeper.asks('pause');
  await operation.isAtWork();
  const lock = await fleet.connect();
  await lock.query('BEGIN');
  await lock.query('SELECT 1 FROM vms.vm WHERE id = $1 FOR UPDATE', [sleeper.id]);
  await fleet.thawLibvirt();
  await eventually('libvirt to have paused it', async () => (await fleet.host.virsh('domstate', `nc-${sleeper.id}`)) === 'paused');
  await lock.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'novacron\\_%'");
  await lock.query('ROLLBACK');
  await lock.end();
  expect(await operation.ends()).toMatchObject({ state: 'SUCCEEDED', error: null });
  expect(await sleeper.read('state')).toEqual({ state: 'PAUSED' });
  await sleeper.does('delete');
});

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  it.each(PARTS)('ends %s within seconds, with 0 and without a child left behind', async (name) => {
    const part = fleet.part(name);
    const children = descendants(part.pid);
    const subscription = name === 'gateway' ? await me.subscribe('subscription { vmChanged { cursor } }') : null;
    const { code, signal: by, ms } = await part.end(signal);
    expect({ code, by, stderr: part.stderr }).toEqual({ code: 0, by: null, stderr: '' });
    expect(ms).toBeLessThan(5_000);
    expect(children.filter(isAlive)).toEqual([]);
    await subscription?.close();
    expect(fleet.host.qemuPids().length).toBeGreaterThan(0); // guests live on
    await fleet.start(name);
  });
});
