import { MIGRATES_FROM, VM_STATES, type Viewer, type VmState } from '@novacron/contracts';
import { newId, type HostId, type TenantId } from '@novacron/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ChangeVerb } from '../src/may-begin.ts';
import { beginVerb, pretendHost, requestVm, startVms, viewerWith, type Loose, type TestVms } from './vms.ts';

/** Vm.can says what the mutation would: in every state, to everyone. */

const MUTATIONS: Record<ChangeVerb, string> = { start: 'startVm', stop: 'stopVm', reboot: 'rebootVm', pause: 'pauseVm', resume: 'resumeVm', delete: 'deleteVm' };
const verbs = Object.keys(MUTATIONS) as ChangeVerb[]; // of the table just above
const ALLOWED = { allowed: true, code: null, reason: null };

let vms: TestVms;
let tenant: TenantId;
let host: HostId;
let operator: Viewer;
let vmId: string;

const put = (state: VmState) => vms.sql('UPDATE vms.vm SET state = $2::text::vms.vm_state, operation_id = NULL, operation_verb = NULL WHERE id = $1', [vmId, state]);

async function verdict(viewer: Viewer, action: string, force?: boolean): Promise<Loose> {
  const { data, error } = await vms.ask(viewer, 'query ($id: ID!, $action: String!, $force: Boolean) { vm(id: $id) { can(action: $action, force: $force) { allowed code reason } } }', { id: vmId, action, force });
  if (error) throw new Error(error.message);
  return data['vm'].can;
}

beforeAll(async () => {
  vms = await startVms({ hosts: 0 });
  tenant = await vms.tenant();
  operator = viewerWith(['operator', tenant]);
  host = await pretendHost(vms, 'nowhere', { vcpus: 10_000 });
});
afterAll(() => vms?.close());
beforeEach(async () => {
  vmId = (await requestVm(vms, operator, { name: `vm-${newId()}` })).data['createVm'].vm.id;
  await vms.sql('UPDATE operations.operation SET finished_at = now(), due_at = NULL WHERE finished_at IS NULL');
});

describe.each(verbs)('%s', (verb) => {
  it.each(VM_STATES.filter((state) => state !== 'DELETED'))('is told of as it is done while %s', async (state) => {
    await put(state);
    const told = await verdict(operator, verb);
    const { error } = await beginVerb(vms, operator, MUTATIONS[verb], vmId);
    expect(told).toEqual(error === null ? ALLOWED : { allowed: false, code: error.code, reason: error.message });
  });

  it('is no viewer\'s and no auditor\'s, and that is said before the state', async () => {
    for (const role of ['viewer', 'auditor'] as const) {
      expect(await verdict(viewerWith([role, tenant]), `vm:${verb}`)).toEqual({ allowed: false, code: 'FORBIDDEN', reason: `You need the permission vm:${verb} for this.` });
    }
  });

  it('is not in the scopes of every token of an operator', async () => {
    expect(await verdict({ ...operator, scopes: ['vm:read'] }, verb)).toMatchObject({ allowed: false, code: 'FORBIDDEN' });
  });
});

it('allows what is in flight already, as the mutation answers it', async () => {
  await put('RUNNING');
  const { operationId } = await beginVerb(vms, operator, 'stopVm', vmId);
  expect([await verdict(operator, 'stop'), await verdict(operator, 'reboot')]).toEqual([ALLOWED, expect.objectContaining({ allowed: false, code: 'INVALID_STATE' })]);
  await vms.cancel(operationId);
  expect(await verdict(operator, 'stop')).toMatchObject({ allowed: false, code: 'INVALID_STATE' });
});

it('tells a stop with force from one without', async () => {
  await put('PAUSED');
  expect(await verdict(operator, 'stop')).toMatchObject({ allowed: false, code: 'INVALID_STATE', reason: expect.stringContaining('with force') });
  expect(await verdict(operator, 'stop', true)).toEqual(ALLOWED);
});

it('knows where a VM can be moved from', async () => {
  const from = new Set<VmState>(Object.values(MIGRATES_FROM).flat());
  for (const state of VM_STATES.filter((one) => one !== 'DELETED')) {
    await put(state);
    expect([state, (await verdict(operator, 'migrate'))['allowed']]).toEqual([state, from.has(state)]);
  }
});

it('lets name and tags be changed at any time', async () => {
  await put('MIGRATING');
  expect(await verdict(operator, 'update')).toEqual(ALLOWED);
});

it('says that the host is away', async () => {
  await put('RUNNING');
  await vms.sql("UPDATE vms.host SET state = 'OFFLINE' WHERE id = $1", [host]);
  expect(await verdict(operator, 'pause')).toEqual({ allowed: false, code: 'UNAVAILABLE', reason: 'Host "nowhere" is offline.' });
  await vms.sql("UPDATE vms.host SET state = 'ONLINE' WHERE id = $1", [host]);
});

it('says that the quota of operations in flight is used up, as the mutation does, and what it is', async () => {
  const limited = await vms.tenant({ operationsInFlight: 1 });
  const member = viewerWith(['operator', limited]);
  const other = (await requestVm(vms, member, { name: 'one' })).data['createVm'].vm.id;
  await vms.sql('UPDATE operations.operation SET finished_at = now(), due_at = NULL WHERE finished_at IS NULL');
  vmId = (await requestVm(vms, member, { name: 'two' })).data['createVm'].vm.id; // in flight
  await vms.sql("UPDATE vms.vm SET state = 'RUNNING', operation_id = NULL, operation_verb = NULL WHERE id IN ($1, $2)", [vmId, other]);
  const reason = 'The tenant uses 1 of 1 operations in flight; this needs 1 more.';
  expect(await verdict(member, 'pause')).toEqual({ allowed: false, code: 'QUOTA_EXCEEDED', reason });
  const { error } = await beginVerb(vms, member, 'pauseVm', other);
  expect(error).toMatchObject({ code: 'QUOTA_EXCEEDED', message: reason, retryable: true });
  await vms.sql('UPDATE operations.operation SET finished_at = now(), due_at = NULL WHERE finished_at IS NULL');
  expect(await verdict(member, 'pause')).toEqual(ALLOWED);
});

it.each(['', 'create', 'fly', 'vm:read', '__proto__'])('knows no action %j', async (action) => {
  const { error } = await vms.ask(operator, 'query ($id: ID!, $action: String!) { vm(id: $id) { can(action: $action) { allowed } } }', { id: vmId, action });
  expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'action' });
});

it('is answered for each VM of a list', async () => {
  await put('STOPPED');
  const { data } = await vms.ask(operator, '{ vms(first: 500) { edges { node { id start: can(action: "start") { allowed } stop: can(action: "stop") { allowed } } } } }');
  expect(data['vms'].edges.map(({ node }: Loose) => node)).toContainEqual({ id: vmId, start: { allowed: true }, stop: { allowed: false } });
});
