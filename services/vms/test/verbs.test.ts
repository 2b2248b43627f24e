import { VM_STATES, type Viewer, type VmState } from '@novacron/contracts';
import { newId, type HostId, type TenantId } from '@novacron/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChangeVerb } from '../src/may-begin.ts';
import { RULES, VM_VERBS } from '../src/rules.ts';
import { attempt, beginVerb, pretendHost, requestVm, startVms, viewerWith, type Answer, type TestVms } from './vms.ts';

/** What the verbs on a VM accept and refuse, before a hypervisor hears of it. */

let vms: TestVms;
let tenant: TenantId;
let host: HostId;
let operator: Viewer;
let vmId: string;
let viewers: Record<string, Viewer | null>;

const MUTATIONS: Record<ChangeVerb, string> = { start: 'startVm', stop: 'stopVm', reboot: 'rebootVm', pause: 'pauseVm', resume: 'resumeVm', delete: 'deleteVm' };
const verbs = Object.keys(MUTATIONS) as ChangeVerb[]; // of the table just above
const UPDATE = 'mutation ($input: UpdateVmInput!) { updateVm(input: $input) { vm { id name tags generation } operation { id } } }';
const update = (viewer: Viewer | null, input: object): Promise<Answer> => vms.ask(viewer, UPDATE, { input: { id: vmId, ...input } });
const refused = (error: object) => ({ error, changed: false });

/** As if it were in that state, with nothing in flight. */
const put = (state: VmState) => vms.sql('UPDATE vms.vm SET state = $2::text::vms.vm_state, operation_id = NULL, operation_verb = NULL WHERE id = $1', [vmId, state]);

beforeAll(async () => {
  vms = await startVms({ hosts: 0 });
  tenant = await vms.tenant();
  operator = viewerWith(['operator', tenant]);
  viewers = { nobody: null, viewer: viewerWith(['viewer', tenant]), stranger: viewerWith(['tenant_admin', await vms.tenant()]) };
  host = await pretendHost(vms, 'nowhere');
  vmId = (await requestVm(vms, operator, { name: 'victim' })).data['createVm'].vm.id;
});
afterAll(() => vms?.close());

it('has a mutation for each verb', () => expect(['create', ...verbs].toSorted()).toEqual([...VM_VERBS].toSorted()));

describe.each(verbs)('%s', (verb) => {
  const begin = (viewer: Viewer | null, id = vmId) => beginVerb(vms, viewer, MUTATIONS[verb], id);
  const allowed: readonly VmState[] = RULES[verb].from;

  it.each(VM_STATES.filter((state) => !allowed.includes(state)))('is refused while %s', async (state) => {
    await put(state);
    const message = expect.stringContaining(`A VM that is ${state} can't ${verb}: it must be `);
    expect(await attempt(vms, () => begin(operator))).toMatchObject(refused({ code: 'INVALID_STATE', message }));
  });

  it.each([
    ['nobody', 'UNAUTHENTICATED'],
    ['viewer', 'FORBIDDEN'],
    ['stranger', 'NOT_FOUND'],
  ])('is refused to the %s', async (who, code) => {
    await put(allowed[0]!); // each verb starts from somewhere
    expect(await attempt(vms, () => begin(viewers[who] ?? null))).toMatchObject(refused({ code }));
  });

  it.each([newId(), 'no id', ''])('finds no VM %j', async (id) => {
    expect(await attempt(vms, () => begin(operator, id))).toMatchObject(refused({ code: 'NOT_FOUND' }));
  });

  it('needs its host, and tells only who may know why it is away', async () => {
    await put(allowed[0]!); // as above
    await vms.sql("UPDATE vms.host SET state = 'OFFLINE', problem = 'connect ENOENT /secret' WHERE id = $1", [host]);
    expect(await attempt(vms, () => begin(operator))).toMatchObject(refused({ code: 'UNAVAILABLE', retryable: true, message: 'Host "nowhere" is offline.' }));
    const { error } = await begin(viewerWith(['platform_admin', newId()]));
    expect(error?.message).toBe('Host "nowhere" is offline. connect ENOENT /secret');
    await vms.sql("UPDATE vms.host SET state = 'ONLINE', problem = NULL WHERE id = $1", [host]);
  });

  it('in flight, is answered with its operation, also to five at once; another verb waits', async () => {
    await put(allowed[0]!); // as above
    const answers = await Promise.all(Array.from({ length: 5 }, () => begin(operator)));
    expect(answers.map(({ error }) => error)).toEqual(Array.from({ length: 5 }, () => null));
    expect(new Set(answers.map(({ operationId }) => operationId)).size).toBe(1);
    expect((await vms.row(vmId))['state']).toBe(RULES[verb].via);
    for (const other of verbs.filter((one) => one !== verb)) {
      expect(await attempt(vms, () => beginVerb(vms, operator, MUTATIONS[other], vmId))).toMatchObject(refused({ code: 'INVALID_STATE' }));
    }
  });
});

describe('stop', () => {
  it('can not be asked of a paused guest, only forced', async () => {
    await put('PAUSED');
    expect(await attempt(vms, () => beginVerb(vms, operator, 'stopVm', vmId))).toMatchObject(refused({ code: 'INVALID_STATE', message: expect.stringContaining('with force') }));
    expect((await beginVerb(vms, operator, 'stopVm', vmId, true)).error).toBeNull();
  });
});

describe('update', () => {
  it.each([
    ['name', { name: 'No' }],
    ['tags', { tags: [''] }],
  ])('refuses a bad %s', async (field, input) => {
    expect(await attempt(vms, () => update(operator, input))).toMatchObject(refused({ code: 'BAD_USER_INPUT', field }));
  });

  it.each([
    ['nobody', 'UNAUTHENTICATED'],
    ['viewer', 'FORBIDDEN'],
    ['stranger', 'NOT_FOUND'],
  ])('is refused to the %s', async (who, code) => {
    expect(await attempt(vms, () => update(viewers[who] ?? null, { name: 'mine' }))).toMatchObject(refused({ code }));
  });

  it.each([newId(), 'no id'])('finds no VM %j', async (id) => {
    expect(await attempt(vms, () => update(operator, { id, name: 'any' }))).toMatchObject(refused({ code: 'NOT_FOUND' }));
  });

  it('only changes the generation that was seen', async () => {
    await put('STOPPED');
    const { generation } = await vms.row(vmId);
    expect(await attempt(vms, () => update(operator, { tags: ['x'], ifGeneration: generation - 1 }))).toMatchObject(refused({ code: 'CONFLICT', field: 'ifGeneration' }));
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((tag) => update(operator, { tags: [tag], ifGeneration: generation })));
    expect(answers.map(({ error }) => error?.code ?? 'made').toSorted()).toEqual(['CONFLICT', 'CONFLICT', 'CONFLICT', 'made']);
    expect((await vms.row(vmId))['generation']).toBe(generation + 1);
  });

  it('takes no name of another VM, also at once', async () => {
    await requestVm(vms, operator, { name: 'taken' });
    expect(await attempt(vms, () => update(operator, { name: 'taken' }))).toMatchObject(refused({ code: 'ALREADY_EXISTS', field: 'name' }));
    const second = (await requestVm(vms, operator, { name: 'second' })).data['createVm'].vm.id;
    const answers = await Promise.all([update(operator, { name: 'both' }), update(operator, { id: second, name: 'both' })]);
    expect(answers.map(({ error }) => error?.code ?? 'made').toSorted()).toEqual(['ALREADY_EXISTS', 'made']);
  });

  it('is done at once when only tags change, and says so once', async () => {
    const before = (await vms.events(vmId)).length;
    const { data } = await update(operator, { tags: ['z', 'y', 'z'] });
    expect(data['updateVm'].vm.tags).toEqual(['z', 'y']);
    expect(await vms.ended(data['updateVm'].operation.id)).toEqual({ state: 'SUCCEEDED', error: null });
    expect((await vms.events(vmId)).slice(before)).toEqual([{ type: 'vm.changed', body: expect.objectContaining({ after: expect.objectContaining({ tags: ['z', 'y'] }) }) }]);
  });

  it('that changes nothing tells nothing', async () => {
    const before = await vms.row(vmId);
    const events = (await vms.events(vmId)).length;
    expect((await update(operator, { tags: before['tags'], name: before['name'] })).error).toBeNull();
    expect((await vms.row(vmId))['generation']).toBe(before['generation']);
    expect(await vms.events(vmId)).toHaveLength(events);
  });
});

it('what is deleted is gone for every verb, and its record stays', async () => {
  const gone = (await requestVm(vms, operator, { name: 'gone' })).data['createVm'].vm.id;
  await vms.sql("UPDATE vms.vm SET state = 'DELETED', deleted_at = now(), live_name = NULL, operation_id = NULL, operation_verb = NULL WHERE id = $1", [gone]);
  for (const verb of verbs) expect(await attempt(vms, () => beginVerb(vms, operator, MUTATIONS[verb], gone))).toMatchObject(refused({ code: 'NOT_FOUND' }));
  expect(await attempt(vms, () => update(operator, { id: gone, name: 'back' }))).toMatchObject(refused({ code: 'NOT_FOUND' }));
  expect((await vms.ask(operator, 'query ($id: ID!) { vm(id: $id) { state } }', { id: gone })).data).toEqual({ vm: { state: 'DELETED' } });
});
