import { newId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FIELD_CASES, ROOT_CASES } from './authorization/all.ts';
import { ACTORS, everybodys, SIGNED_IN, type Actor, type Outcome, type RootCase, type SignedInActor, type Subject } from './authorization/cases.ts';
import { CROSSINGS } from './authorization/crossings.ts';
import { Fixtures } from './authorization/fixtures.ts';
import { expiredToken, forge } from './kit/actors.ts';
import type { Answer, Graph, Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { ADMIN, makePeople, type People } from './kit/people.ts';
import type { Subscription } from './kit/subscription.ts';
import { apiSchema, guardedFields, rootFields } from './kit/supergraph.ts';
import { haveVm, Operation, type Vm } from './kit/vm.ts';

let system: Embedded;
let people: People;
let fixtures: Fixtures;
let tokens: Record<Actor, { token: string } | null>;
let subject: Subject;
let vm: Vm;
let strangersVm: Vm;

beforeAll(async () => {
  system = await startEmbedded({}, { hosts: 2 });
  people = await makePeople(system.graph);
  fixtures = await Fixtures.open(system, people);
  ({ subject, vm } = await fixtures.subject());
  strangersVm = await haveVm(system.graph.as(people.stranger), system.guest, { start: false });
  const leaver = await system.graph.login(ADMIN.email, ADMIN.password);
  await system.graph.as(leaver).run('mutation { logout }');
  tokens = {
    ...people,
    anonymous: null,
    forged: { token: forge(people.platformAdmin.token) },
    expired: { token: await expiredToken(system) },
    signedOut: leaver,
  };
}, 120_000);
afterAll(() => system?.close());

const isRefused = (outcome: Outcome) => ['UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND'].includes(outcome);
const graphOf = (actor: Actor) => system.graph.as(tokens[actor]);
const casesOf = (isSubscription: boolean) => Object.entries(ROOT_CASES).filter(([name]) => name.startsWith('Subscription.') === isSubscription);
const fieldOf = (name: string) => name.slice(name.indexOf('.') + 1);

it('has a case for every root field of the supergraph, and none for what is not there', () => {
  expect(Object.keys(ROOT_CASES).toSorted()).toEqual(rootFields(apiSchema()).toSorted());
});

it('has a case for every field that its description guards', () => {
  expect(guardedFields(apiSchema()).filter((field) => !(field in FIELD_CASES))).toEqual([]);
});

describe('queries and mutations', () => {
  it.each(casesOf(false))('%s', async (name, one) => {
    const answered: Partial<Record<Actor, Outcome>> = {};
    const expected = everybodys(one.expect);
    const refused = ACTORS.filter((actor) => isRefused(expected[actor]));
    if (one.vm) await vm.as(fixtures.admin).bring(one.vm);
    const before = await fixtures.seen(subject);
    for (const actor of refused) answered[actor] = outcomeOf(await asked(one, actor, named(subject)), fieldOf(name), one, subject);
    expect(await fixtures.seen(subject), `${name} was refused, and changed something`).toEqual(before);
    for (const actor of ACTORS.filter((other) => !refused.includes(other))) {
      if (one.vm) await vm.as(fixtures.admin).bring(one.vm);
      const prepared = expected[actor] === 'ok' ? await one.prepare?.(fixtures, subject) : {};
      const about = named({ ...subject, ...prepared });
      const answer = await asked(one, actor, about).finally(() => one.after?.(fixtures, about));
      answered[actor] = outcomeOf(answer, fieldOf(name), one, about);
      await settle(answer, fieldOf(name));
    }
    expect(answered).toEqual(expected);
  });
});

const named = (about: Subject): Subject => ({ ...about, unique: `n${newId().replaceAll('-', '').slice(-20)}` });

async function asked(one: RootCase, actor: Actor, about: Subject): Promise<Answer> {
  const isSpent = one.ownSession && SIGNED_IN.some((known) => known === actor);
  const graph = isSpent ? system.graph.as(await anotherSession(actor as SignedInActor)) : graphOf(actor); // just seen
  return graph.ask(one.document, one.variables?.(about));
}

function outcomeOf({ data, errors }: Answer, field: string, { shows }: RootCase, about: Subject): Outcome {
  const [error] = errors;
  if (error) return error.extensions.code as Outcome; // compared with what is expected, whatever it is
  const value = data?.[field];
  if (value === null) return 'null';
  return shows === undefined || shows(value, about) ? 'ok' : 'nothing';
}

async function anotherSession(actor: SignedInActor): Promise<{ token: string }> {
  const { email } = people[actor];
  return system.graph.login(email, email === ADMIN.email ? ADMIN.password : 'a password for tests');
}

/** Waits until what was accepted is over. */
async function settle({ data, errors }: Answer, field: string): Promise<void> {
  if (errors.length > 0) return;
  const id = field === 'cancelOperation' ? data?.[field].id : data?.[field]?.operation?.id;
  if (id !== undefined) await new Operation(fixtures.admin, id).ends();
}

describe('the objects of another tenant are not there for', () => {
  it.each(CROSSINGS)('$title', async ({ document, variables, field }) => {
    const stranger = graphOf('stranger');
    const [nic] = (await strangersVm.read('nics { id }'))['nics'];
    const before = await fixtures.seen(subject);
    const { extensions } = await stranger.refused(document, variables(named(subject), { tenantId: people.globex, vmId: strangersVm.id, nicId: nic.id }));
    expect(extensions).toMatchObject({ code: 'NOT_FOUND', field });
    expect(await fixtures.seen(subject)).toEqual(before);
  });

  it('who attaches a volume to its own VM', async () => {
    const ATTACH = 'mutation ($volumeId: ID!, $vmId: ID!) { attachVolume(volumeId: $volumeId, vmId: $vmId) { volume { id } } }';
    // two tenants of one platform: not even who sees both brings them together
    expect((await fixtures.admin.refused(ATTACH, { volumeId: subject.volumeId, vmId: strangersVm.id })).extensions.code).toBe('NOT_FOUND');
    expect((await graphOf('stranger').refused(ATTACH, { volumeId: subject.volumeId, vmId: strangersVm.id })).extensions.code).toBe('NOT_FOUND');
  });
});

describe('subscriptions', () => {
  it.each(casesOf(true))('%s', async (name, one) => {
    const field = fieldOf(name);
    const expected = everybodys(one.expect);
    if (one.vm) await Promise.all([vm.as(fixtures.admin).bring(one.vm), strangersVm.bring('RUNNING')]);
    const open = new Map<Actor, Subscription>();
    const witnesses: Subscription[] = [];
    try {
      for (const actor of ACTORS) open.set(actor, await graphOf(actor).subscribe(one.document, one.variables?.(subject)));
      // The subject's change comes first: who hears the stranger's has been told of it, or never is. Of samples, one comes
      // at once; the second one is of a round in which the subject was measured, too.
      const enough = field.endsWith('Metrics') ? 2 : 1;
      await tag(graphOf('operator'), vm);
      await tag(graphOf('stranger'), strangersVm);
      const answered: Partial<Record<Actor, Outcome>> = {};
      for (const [actor, subscription] of open) {
        const heard = expected[actor] === 'nothing' && one.variables ? await witness(actor) : subscription;
        await eventually(`${name} to answer ${actor}`, () => subscription.ended ?? heard.messages.length >= enough, { timeoutMs: 15_000 });
        const { ended, messages } = subscription;
        // 4403: the socket of a token that is no good is closed before it has any subscription
        if (ended) answered[actor] = ended.code === 4403 ? 'UNAUTHENTICATED' : (ended.code as Outcome);
        else answered[actor] = messages.some(({ data }) => one.shows?.(data[field], subject)) ? 'ok' : 'nothing';
      }
      expect(answered).toEqual(expected);
    } finally {
      await Promise.all([...open.values(), ...witnesses].map((subscription) => subscription.close()));
    }

    /** Of one object, an actor that can't see it hears nothing. Begun later, this tells when there was time to hear. */
    async function witness(actor: Actor): Promise<Subscription> {
      const subscription = await graphOf(actor).subscribe('subscription ($after: String) { vmChanged(after: $after) { cursor } }', { after: subject.cursor });
      witnesses.push(subscription);
      return subscription;
    }
  });
});

const TAG = 'mutation ($id: ID!, $tags: [String!]) { updateVm(input: { id: $id, tags: $tags }) { vm { id } } }';
const tag = (graph: Graph, { id }: Vm) => graph.run(TAG, { id, tags: [newId()] });

describe('fields that are guarded more strictly than their type', () => {
  it.each(Object.entries(FIELD_CASES))('%s', async (_name, { document, variables, prepare, pick, expect: row }) => {
    const about = { ...subject, ...(await prepare?.(fixtures)) };
    const answered: Partial<Record<SignedInActor, Outcome>> = {};
    for (const actor of SIGNED_IN) {
      const { data, errors } = await graphOf(actor).ask(document, variables(about));
      const field = data && Object.values(data)[0]?.field;
      const value = field == null || pick === undefined ? field : pick(field);
      answered[actor] = (errors[0]?.extensions.code as Outcome | undefined) ?? (value == null ? 'null' : 'ok');
    }
    expect(answered).toEqual(everybodys(row));
  });

  it('shows the sessions of a user to itself, with the one that asks', async () => {
    const { me } = await graphOf('viewer').run('{ me { sessions { current } roles { role } permissions } }');
    expect(me.sessions.filter(({ current }: Loose) => current)).toHaveLength(1);
    expect(me.roles).toEqual([{ role: 'viewer' }]);
    expect(me.permissions).toEqual(['image:read', 'migration:read', 'network:read', 'operation:read', 'security_group:read', 'tenant:read', 'vm:read', 'volume:read']);
  });
});

it('tells of operations on the fleet itself to its administrators only', async () => {
  const id = await fixtures.fleetOperation();
  const one = ROOT_CASES['Query.operation'] as RootCase; // every root field has one
  const answered = await Promise.all(SIGNED_IN.map(async (actor) => [actor, outcomeOf(await graphOf(actor).ask(one.document, { id }), 'operation', one, subject)] as const));
  expect(Object.fromEntries(answered)).toEqual(everybodys({ platformAdmin: 'ok', tenantAdmin: 'null', operator: 'null', viewer: 'null', stranger: 'null' }));
});

it('hears at once that a session has ended: over HTTP and on a socket', async () => {
  const leaver = await anotherSession('operator');
  const subscription = await system.graph.as(leaver).subscribe('subscription { vmChanged { cursor } }');
  await system.graph.as(leaver).run('mutation { logout }');
  expect(await subscription.code()).toBe(4403);
  expect((await system.graph.as(leaver).refused('{ me { id } }')).extensions.code).toBe('UNAUTHENTICATED');
  await subscription.close();
});

it('takes a role away from what is under way, too', async () => {
  const role = (name: string) =>
    fixtures.admin.run('mutation ($userId: ID!, $role: String!, $tenantId: ID!) { assignRole(userId: $userId, role: $role, tenantId: $tenantId) { id } }', {
      userId: people.operator.id,
      role: name,
      tenantId: people.acme,
    });
  await role('viewer');
  const asks = () => graphOf('operator').ask(TAG, { id: vm.id, tags: [] });
  expect(await eventually('the operator to be none', async () => (await asks()).errors[0]?.extensions.code)).toBe('FORBIDDEN');
  await role('operator');
  expect(await eventually('the operator to be one again', async () => (await asks()).data !== null)).toBe(true);
});
