import { newId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACTORS, FIELD_CASES, ROOT_CASES, type Actor, type Outcome, type RootCase, type SignedInActor, type Subject } from './authorization-cases.ts';
import { expiredToken, forge } from './kit/actors.ts';
import type { Answer, Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { awaitedImage } from './kit/image.ts';
import { ADMIN, makePeople, type People } from './kit/people.ts';
import type { Subscription } from './kit/subscription.ts';
import { apiSchema, rootFields } from './kit/supergraph.ts';
import { createVm, haveVm, Operation, type Vm } from './kit/vm.ts';

let system: Embedded;
let people: People;
let tokens: Record<Actor, { token: string } | null>;
let subject: Subject;
let vm: Vm;
let strangersVm: Vm;

beforeAll(async () => {
  system = await startEmbedded();
  people = await makePeople(system.graph);
  const admin = system.graph.as(people.platformAdmin);
  const hostId = await system.registerHost(admin);
  const { createUser: bystander } = await admin.run('mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }', {
    input: { email: 'bob@novacron.test', name: 'bob', password: 'a password for tests', tenantId: people.acme, role: 'viewer' },
  });
  const created = await createVm(admin, system.guest, { tenantId: people.acme });
  await created.operation.succeeds();
  ({ vm } = created);
  strangersVm = await haveVm(system.graph.as(people.stranger), system.guest, { start: false });
  subject = {
    tenantId: people.acme,
    userId: bystander.id,
    hostId,
    vmId: vm.id,
    operationId: created.operation.id,
    imageId: await awaitedImage(admin, people.acme),
    kernel: system.guest.kernel,
    refreshToken: '',
    credentials: ADMIN,
    unique: '',
  };
  const leaver = await system.graph.login(ADMIN.email, ADMIN.password);
  await system.graph.as(leaver).run('mutation { logout }');
  tokens = {
    ...people,
    anonymous: null,
    forged: { token: forge(people.platformAdmin.token) },
    expired: { token: await expiredToken(system) },
    signedOut: leaver,
  };
});
afterAll(() => system?.close());

const isRefused = (outcome: Outcome) => ['UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND'].includes(outcome);
const graphOf = (actor: Actor) => system.graph.as(tokens[actor]);
/** Refused ones first: what they ask for must change nothing for those who may. */
const inOrder = (one: RootCase) => ACTORS.toSorted((a, b) => Number(isRefused(one.expect[b])) - Number(isRefused(one.expect[a])));

it('has a case for every root field of the supergraph, and none for what is not there', () => {
  expect(Object.keys(ROOT_CASES).toSorted()).toEqual(rootFields(apiSchema()).toSorted());
});

describe('queries and mutations', () => {
  it.each(Object.entries(ROOT_CASES).filter(([name]) => !name.startsWith('Subscription.')))('%s', async (name, one) => {
    const answered: Partial<Record<Actor, Outcome>> = {};
    for (const actor of inOrder(one)) {
      const expected = one.expect[actor];
      const about = await prepare(one, actor, expected);
      const { generation } = await vm.read();
      const asker = one.ownSession && tokens[actor] && !['forged', 'expired', 'signedOut'].includes(actor) ? system.graph.as(await anotherSession(actor)) : graphOf(actor);
      const answer = await asker.ask(one.document, one.variables?.(about));
      answered[actor] = outcomeOf(answer, fieldOf(name), one, about);
      if (isRefused(expected) && (await vm.read())['generation'] !== generation) throw new Error(`${name} by ${actor} was refused, and changed the VM.`);
      await settle(answer, fieldOf(name));
    }
    expect(answered).toEqual(one.expect);
  });
});

const fieldOf = (name: string) => name.slice(name.indexOf('.') + 1);

function outcomeOf({ data, errors }: Answer, field: string, { shows }: RootCase, about: Subject): Outcome {
  const [error] = errors;
  if (error) return error.extensions.code as Outcome; // compared with what is expected, whatever it is
  const value = data?.[field];
  if (value === null) return 'null';
  return shows === undefined || shows(value, about) ? 'ok' : 'nothing';
}

async function anotherSession(actor: Actor): Promise<{ token: string; refreshToken: string }> {
  const { email } = people[actor as SignedInActor]; // asked for of these only
  return system.graph.login(email, email === ADMIN.email ? ADMIN.password : 'a password for tests');
}

/** What the request needs to be there, so that nothing but permission can refuse it. */
async function prepare(one: RootCase, actor: Actor, expected: Outcome): Promise<Subject> {
  const about = { ...subject, unique: `n${newId().replaceAll('-', '').slice(-20)}` };
  const admin = system.graph.as(people.platformAdmin);
  if (one.ownSession) about.refreshToken = (await anotherSession('platformAdmin')).refreshToken;
  if (one.vm !== undefined && one.vm !== 'fresh') await vm.as(admin).bring(one.vm);
  if (one.vm === 'fresh' && !isRefused(expected)) {
    about.vmId = (await haveVm(admin, system.guest, { tenantId: people.acme, start: false })).id;
  }
  if (one.freshImage && !isRefused(expected)) about.imageId = await awaitedImage(admin, people.acme);
  if (one.cancellable && !isRefused(expected)) {
    await system.host.exec('sh', '-c', 'kill -STOP $(cat /run/libvirt/libvirtd.pid)');
    about.operationId = (await createVm(admin, system.guest, { tenantId: people.acme, start: false })).operation.id;
  }
  return about;
}

/** Waits until what was accepted is over. */
async function settle({ data, errors }: Answer, field: string): Promise<void> {
  if (field === 'cancelOperation') await system.host.exec('sh', '-c', 'kill -CONT $(cat /run/libvirt/libvirtd.pid)');
  if (errors.length > 0) return;
  const id = field === 'cancelOperation' ? data?.[field].id : data?.[field]?.operation?.id;
  if (id !== undefined) await new Operation(system.graph.as(people.platformAdmin), id).ends();
}

describe('subscriptions', () => {
  it.each(Object.entries(ROOT_CASES).filter(([name]) => name.startsWith('Subscription.')))('%s', async (name, one) => {
    const field = fieldOf(name);
    const about = await prepare(one, 'platformAdmin', 'ok');
    if (one.vm === 'RUNNING') await strangersVm.bring('RUNNING');
    const open = new Map<Actor, Subscription>();
    try {
      for (const actor of ACTORS) open.set(actor, await graphOf(actor).subscribe(one.document));
      // The subject's change comes first: who hears the stranger's has been told of it, or never is. Of samples, one comes
      // at once; the second one is of a round in which the subject was measured, too.
      const enough = field.endsWith('Metrics') ? 2 : 1;
      const operator = vm.as(graphOf('operator'));
      await operator.graph.run(ROOT_CASES['Mutation.updateVm']?.document ?? '', { input: { id: vm.id, tags: [newId()] } });
      await strangersVm.graph.run(ROOT_CASES['Mutation.updateVm']?.document ?? '', { input: { id: strangersVm.id, tags: [newId()] } });
      const answered: Partial<Record<Actor, Outcome>> = {};
      for (const [actor, subscription] of open) {
        await eventually(`${name} to answer ${actor}`, () => subscription.ended ?? subscription.messages.length >= enough, { timeoutMs: 15_000 });
        const { ended, messages } = subscription;
        // 4403: the socket of a token that is no good is closed before it has any subscription
        if (ended) answered[actor] = ended.code === 4403 ? 'UNAUTHENTICATED' : (ended.code as Outcome);
        else answered[actor] = messages.some(({ data }) => one.shows?.(data[field], about)) ? 'ok' : 'nothing';
      }
      expect(answered).toEqual(one.expect);
    } finally {
      await Promise.all([...open.values()].map((subscription) => subscription.close()));
    }
  });
});

describe('fields that are guarded more strictly than their type', () => {
  it.each(Object.entries(FIELD_CASES))('%s', async (_name, { document, variables, expect: expected }) => {
    await vm.as(graphOf('platformAdmin')).bring('RUNNING');
    const answered: Partial<Record<SignedInActor, Outcome>> = {};
    for (const actor of ['platformAdmin', 'tenantAdmin', 'operator', 'viewer', 'stranger'] as const) {
      const { data, errors } = await graphOf(actor).ask(document, variables(subject));
      const value = data && Object.values(data)[0]?.field;
      answered[actor] = (errors[0]?.extensions.code as Outcome | undefined) ?? (value == null ? 'null' : 'ok');
    }
    expect(answered).toEqual(expected);
  });

  it('shows the sessions of a user to itself, with the one that asks', async () => {
    const { me } = await graphOf('viewer').run('{ me { sessions { current } roles { role } permissions } }');
    expect(me.sessions.filter(({ current }: Loose) => current)).toHaveLength(1);
    expect(me.roles).toEqual([{ role: 'viewer' }]);
    expect(me.permissions).toEqual(['operation:read', 'tenant:read', 'vm:read']);
  });
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
  const admin = system.graph.as(people.platformAdmin);
  const role = (name: string) =>
    admin.run('mutation ($userId: ID!, $role: String!, $tenantId: ID!) { assignRole(userId: $userId, role: $role, tenantId: $tenantId) { id } }', {
      userId: people.operator.id,
      role: name,
      tenantId: people.acme,
    });
  await role('viewer');
  const tag = () => graphOf('operator').ask(ROOT_CASES['Mutation.updateVm']?.document ?? '', { input: { id: vm.id, tags: [] } });
  expect(await eventually('the operator to be none', async () => (await tag()).errors[0]?.extensions.code)).toBe('FORBIDDEN');
  await role('operator');
  expect(await eventually('the operator to be one again', async () => (await tag()).data !== null)).toBe(true);
});
