import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KNOWN_TO_KEY } from '@novacron/contracts';
import { redisOptions } from '@novacron/local';
import { connectRedis, redisReady } from '@novacron/redis';
import { eventually } from '@novacron/testkit';
import type { Graph } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { makePeople, type People } from './kit/people.ts';
import type { Subscription } from './kit/subscription.ts';
import { haveVm, type Vm } from './kit/vm.ts';

const WATCH = 'subscription ($after: String, $ids: [ID!]) { vmChanged(after: $after, ids: $ids) { cursor type vm { id name state desiredState generation createdBy { email } } } }';

let system: Embedded;
let people: People;
let me: Graph;
let vms: Vm[];

beforeAll(async () => {
  system = await startEmbedded();
  people = await makePeople(system.graph);
  await system.registerHost(system.graph.as(people.platformAdmin));
  me = system.graph.as(people.operator);
  vms = await Promise.all([haveVm(me, system.guest), haveVm(me, system.guest, { start: false })]);
});
afterAll(() => system?.close());

/** What was committed of VMs of the tenant, in the one order: what every subscriber of it must have heard. */
const committed = async (after: number) =>
  (
    await system.sql<{ type: string; id: string; state: string; generation: number }>(
      `SELECT type, entity_id AS id, body -> 'after' ->> 'state' AS state, (body -> 'after' ->> 'generation')::int AS generation
       FROM operations.event_log WHERE type LIKE 'vm.%' AND tenant_id = $1 AND position > $2 ORDER BY position`,
      [people.acme, after],
    )
  ).map(({ type, id, state, generation }) => `${type} ${id} ${state} ${generation}`);
const head = async () => Number((await system.sql<{ head: string }>('SELECT head FROM operations.event_head'))[0]?.head);
const heard = (...parts: Subscription[]) =>
  parts.flatMap(({ messages }) => messages.map(({ data: { vmChanged: { type, vm } } }) => `${type} ${vm.id} ${vm.state} ${vm.generation}`));
const lastCursor = ({ cursors }: Subscription) => cursors.at(-1) ?? '';

async function tag(vm: Vm, ...tags: string[]): Promise<void> {
  for (const one of tags) await vm.graph.run('mutation ($input: UpdateVmInput!) { updateVm(input: $input) { vm { id } } }', { input: { id: vm.id, tags: [one] } });
}
const [first, second] = [() => vms[0] as Vm, () => vms[1] as Vm]; // made in beforeAll

describe('a subscriber that comes back with its last cursor', () => {
  it('has missed nothing and hears nothing twice: across a reconnect under load', async () => {
    const from = await head();
    const before = await me.subscribe(WATCH);
    const load = Promise.all([tag(first(), ...letters('a', 20)), tag(second(), ...letters('b', 20))]);
    await eventually('some messages', () => before.messages.length >= 5);
    await before.close(); // in the middle of it
    const after = await me.subscribe(WATCH, { after: lastCursor(before) });
    await load;
    await first().does('pause');
    await eventually('all of it', async () => heard(before, after).length >= (await committed(from)).length);
    expect(heard(before, after)).toEqual(await committed(from));
    expect(new Set([...before.cursors, ...after.cursors]).size).toBe(before.messages.length + after.messages.length);
    await after.close();
  });

  it('has missed nothing: across a restart of everything, with changes meanwhile', async () => {
    const from = await head();
    const before = await me.subscribe(WATCH);
    await tag(first(), 'one', 'two');
    await eventually('both', () => before.messages.length === 2);
    await system.stop();
    expect(await before.code()).toBe(1001); // the gateway says that it is going, and completes nothing
    await system.host.virsh('resume', `nc-${first().id}`); // while nobody looks
    await system.start();
    await first().becomes('RUNNING');
    const after = await me.subscribe(WATCH, { after: lastCursor(before) });
    await tag(second(), 'three');
    await after.until('the last change', ({ vmChanged }) => vmChanged.vm.id === second().id);
    expect(heard(before, after)).toEqual(await committed(from));
    expect(heard(after)[0]).toMatch(`vm.drifted ${first().id} RUNNING`);
    await Promise.all([before.close(), after.close()]);
  });

  it('reads from PostgreSQL what a wiped Redis no longer has', async () => {
    const from = await head();
    const before = await me.subscribe(WATCH);
    await tag(second(), 'four');
    await eventually('one', () => before.messages.length === 1);
    await before.close();
    await tag(second(), 'five', 'six');
    await flush(system.redisUrl);
    const after = await me.subscribe(WATCH, { after: lastCursor(before) });
    await tag(second(), 'seven');
    await eventually('all of it', () => heard(before, after).length >= 4);
    expect(heard(before, after)).toEqual(await committed(from));
    await after.close();
  });

  it('may ask for one VM only, and gets each of its states with what other services know', async () => {
    const one = await me.subscribe(WATCH, { ids: [first().id] });
    await tag(second(), 'eight');
    await first().does('stop', { force: true });
    await one.until('it is off', ({ vmChanged }) => vmChanged.vm.state === 'STOPPED');
    expect(one.messages.map(({ data }) => data['vmChanged'].vm.state)).toEqual(['STOPPING', 'STOPPED']);
    expect(one.messages.every(({ data }) => data['vmChanged'].vm.createdBy.email === people.operator.email)).toBe(true);
    await one.close();
  });

  it.each([
    ['is of another log', Buffer.from('e999999').toString('base64url'), 'CURSOR_EXPIRED'],
    ['is none', 'nonsense!', 'BAD_USER_INPUT'],
  ])('is told when its cursor %s', async (_what, after, code) => {
    const refused = await me.subscribe(WATCH, { after });
    expect(await refused.code()).toBe(code);
    await refused.close();
  });

  it('is told when its cursor is older than what is kept, and from the beginning otherwise', async () => {
    const fresh = await me.subscribe(WATCH);
    await tag(second(), 'nine');
    await eventually('one', () => fresh.messages.length === 1);
    await fresh.close();
    await tag(second(), 'ten');
    await eventually('it to be in the log', async () => (await committed(0)).length > 0);
    await system.sql("SELECT operations.trim_events(clock_timestamp() + interval '1 hour')");
    const late = await me.subscribe(WATCH, { after: lastCursor(fresh) });
    expect(await late.code()).toBe('CURSOR_EXPIRED');
    await late.close();
  });
});

const letters = (letter: string, count: number) => Array.from({ length: count }, (_, index) => `${letter}${index}`);

async function flush(url: string): Promise<void> {
  const redis = await redisReady(connectRedis(redisOptions(url)));
  await redis.flushall();
  await eventually('identity to have told it which sessions have ended', () => redis.exists(KNOWN_TO_KEY)); // until then old tokens wait
  redis.disconnect();
}
