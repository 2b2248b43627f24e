import type { Viewer } from '@novacron/contracts';
import { newId, type HostId, type TenantId } from '@novacron/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attempt, pretendHost, requestVm, startVms, viewerWith, type Answer, type TestVms } from './vms.ts';

/** What createVm and planVm accept, refuse and promise, before a hypervisor hears of it. */

let vms: TestVms;
let tenant: TenantId;
let foreign: TenantId;
let operator: Viewer;
let viewers: Record<string, Viewer | null>;
let roomy: HostId;

beforeAll(async () => {
  vms = await startVms({ hosts: 0 });
  [tenant, foreign] = [await vms.tenant(), await vms.tenant()];
  operator = viewerWith(['operator', tenant]);
  viewers = { nobody: null, viewer: viewerWith(['viewer', tenant]), stranger: viewerWith(['tenant_admin', foreign]), homeless: viewerWith() };
  roomy = await pretendHost(vms, 'roomy', { labels: { zone: 'a', fast: true } });
});
afterAll(() => vms?.close());

const refused = (error: object) => ({ error, changed: false });
const create = (viewer: Viewer | null, input: object) => requestVm(vms, viewer, { name: 'new', placement: { hostId: roomy }, ...input });
const PLAN = `query ($input: CreateVmInput!) { planVm(input: $input) {
  strategy chosen { name } candidates { host { name } score rejectedBecause factors { name weight value } } } }`;
const plan = (viewer: Viewer | null, input: object): Promise<Answer> =>
  vms.ask(viewer, PLAN, { input: { name: 'new', memory: '32MiB', kernel: { kernel: vms.halting.kernel }, ...input } });
/** Both refuse alike. */
const both = [
  ['createVm', create],
  ['planVm', plan],
] as const;

describe.each(both)('%s', (_name, ask) => {
  it.each([
    ['name', { name: '' }],
    ['name', { name: 'Upper' }],
    ['name', { name: 'a'.repeat(64) }],
    ['name', { name: '<x/>' }],
    ['vcpus', { vcpus: 0 }],
    ['vcpus', { vcpus: 256 }],
    ['memory', { memory: '15MiB' }],
    ['memory', { memory: 2 ** 30 + 1 }],
    ['tags', { tags: ['a b'] }],
    ['tags', { tags: Array.from({ length: 51 }, (_, index) => `t${index}`) }],
    ['kernel', { kernel: null }],
    ['kernel.kernel', { kernel: { kernel: 'vmlinuz' } }],
    ['kernel.kernel', { kernel: { kernel: '/etc/passwd' } }],
    ['placement.strategy', { placement: { strategy: 'SCATTER' } }],
    ['placement.requireLabels', { placement: { requireLabels: ['a'] } }],
  ])('refuses a bad %s: %j', async (field, input) => {
    expect(await attempt(vms, () => ask(operator, input))).toMatchObject(refused({ code: 'BAD_USER_INPUT', field }));
  });

  it.each([
    ['kernel.kernel', (kernel: string) => ({ kernel: `${kernel}/../../../etc/passwd` })],
    ['kernel.initrd', (kernel: string) => ({ kernel, initrd: '/etc/shadow' })],
    ['kernel.cmdline', (kernel: string) => ({ kernel, cmdline: 'a\nb' })],
    ['kernel.cmdline', (kernel: string) => ({ kernel, cmdline: 'x'.repeat(2049) })],
  ])('refuses a bad %s', async (field, kernel) => {
    expect(await attempt(vms, () => ask(operator, { kernel: kernel(vms.halting.kernel) }))).toMatchObject(refused({ code: 'BAD_USER_INPUT', field }));
  });

  it.each([
    ['nobody', {}, { code: 'UNAUTHENTICATED' }],
    ['viewer', {}, { code: 'FORBIDDEN' }],
    ['homeless', {}, { code: 'FORBIDDEN' }],
  ])('is refused to the %s', async (who, input, error) => {
    expect(await attempt(vms, () => ask(viewers[who] ?? null, input))).toMatchObject(refused(error));
  });

  it('is refused for a foreign tenant, and for one that is none', async () => {
    const error = { code: 'NOT_FOUND', field: 'tenantId' };
    for (const tenantId of [foreign, newId<TenantId>(), 'no id']) expect(await attempt(vms, () => ask(operator, { tenantId }))).toMatchObject(refused(error));
  });

  it('wants to know which of several tenants it is for', async () => {
    const inBoth = viewerWith(['operator', tenant], ['operator', foreign]);
    expect(await attempt(vms, () => ask(inBoth, {}))).toMatchObject(refused({ code: 'BAD_USER_INPUT', field: 'tenantId' }));
    const halfway = viewerWith(['operator', tenant], ['viewer', foreign]);
    expect(await attempt(vms, () => ask(halfway, { tenantId: foreign }))).toMatchObject(refused({ code: 'FORBIDDEN' }));
  });

  it.each([newId<HostId>(), 'no id'])('finds no host %s', async (hostId) => {
    expect(await attempt(vms, () => ask(operator, { placement: { hostId } }))).toMatchObject(refused({ code: 'NOT_FOUND', field: 'placement.hostId' }));
  });

  it('finds VMs to be near or far from in the own tenant only', async () => {
    const { data } = await create(viewerWith(['operator', foreign]), { name: `of-others-${newId().slice(-12)}` });
    const theirs: string = data['createVm'].vm.id;
    for (const id of [theirs, newId(), 'no id']) {
      for (const field of ['affinity', 'antiAffinity']) {
        const error = { code: 'NOT_FOUND', field: `placement.${field}` };
        expect(await attempt(vms, () => ask(operator, { placement: { [field]: [id] } }))).toMatchObject(refused(error));
      }
    }
  });
});

describe('createVm', () => {
  it('makes it with everything at once, and says so once', async () => {
    const { data } = await create(operator, { name: 'whole', vcpus: 2, tags: ['b', 'a', 'b'], placement: { hostId: roomy.toUpperCase() } });
    const { vm, operation } = data['createVm'];
    expect(vm).toEqual({ id: expect.any(String), name: 'whole', state: 'PENDING', generation: 1 });
    expect(await vms.row(vm.id)).toMatchObject({ tenant_id: tenant, host_id: roomy, vcpus: 2, memory: String(2 ** 25), tags: ['b', 'a'], created_by: operator.userId, operation_id: operation.id });
    const FIELDS = 'stateReason desiredState vcpus memory tags kernel { kernel initrd cmdline } tenant { id } createdBy { id } host { name } placement { strategy } startedAt';
    expect((await vms.ask(operator, `query ($id: ID!) { vm(id: $id) { ${FIELDS} } }`, { id: vm.id })).data['vm']).toEqual({
      ...{ stateReason: null, desiredState: 'RUNNING', vcpus: 2, memory: 2 ** 25, tags: ['b', 'a'], startedAt: null },
      kernel: { kernel: vms.halting.kernel, initrd: null, cmdline: null },
      ...{ tenant: { id: tenant }, createdBy: { id: operator.userId }, host: { name: 'roomy' }, placement: { strategy: 'SPREAD' } },
    });
    expect((await vms.events(vm.id)).map(({ type }) => type)).toEqual(['vm.created']);
    expect(await vms.sql('SELECT name, state FROM operations.step WHERE operation_id = $1 ORDER BY index', [operation.id])).toEqual([
      { name: 'vms.hold', state: 'SUCCEEDED' },
      { name: 'vms.define', state: 'PENDING' },
      { name: 'vms.start', state: 'PENDING' },
    ]);
  });

  it.each([
    [{ sshKeyIds: [newId()] }, { code: 'NOT_FOUND', field: 'cloudInit.sshKeyIds' }],
    [{ sshKeyIds: ['no id'] }, { code: 'NOT_FOUND', field: 'cloudInit.sshKeyIds' }],
    [{ sshKeyIds: Array.from({ length: 65 }, () => newId()) }, { code: 'BAD_USER_INPUT', field: 'cloudInit.sshKeyIds' }],
    [{ withMySshKeys: true }, { code: 'BAD_USER_INPUT', field: 'cloudInit.withMySshKeys' }],
  ])('gives it no SSH keys that its maker does not have: %j', async (cloudInit, error) => {
    expect(await attempt(vms, () => create(operator, { cloudInit }))).toMatchObject(refused(error));
  });

  it('gives a name once, also to ten at once, and again in another tenant', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => create(operator, { name: 'wanted' })));
    expect(answers.map(({ error }) => error?.code ?? 'made').toSorted()).toEqual([...Array.from({ length: 9 }, () => 'ALREADY_EXISTS'), 'made']);
    expect(answers.find(({ error }) => error)?.error).toMatchObject({ field: 'name', retryable: false });
    expect(await attempt(vms, () => create(operator, { name: 'wanted' }))).toMatchObject(refused({ code: 'ALREADY_EXISTS', field: 'name' }));
    expect((await create(viewerWith(['operator', foreign]), { name: 'wanted' })).error).toBeNull();
  });

  it.each([
    ['vms', { vms: 7 }, undefined, 'The tenant uses 7 of 7 VMs; this needs 1 more.'],
    ['vcpus', { vcpus: 15 }, 'vcpus', 'The tenant uses 14 of 15 vCPUs; this needs 2 more.'],
    ['memory', { memory: 7 * 2 ** 25 + 1 }, 'memory', 'The tenant uses 224 of 224 MiB of memory; this needs 32 more.'],
    ['operations in flight', { operationsInFlight: 7 }, undefined, 'The tenant uses 7 of 7 operations in flight; this needs 1 more.'],
  ])('keeps to the quota of %s, exactly, under 20 at once, and says what is used of it', async (_name, quota, field, message) => {
    const limited = viewerWith(['operator', await vms.tenant(quota)]);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => create(limited, { name: `vm-${index}`, vcpus: 2 })));
    expect(answers.map(({ error }) => error?.code ?? 'made').toSorted()).toEqual([...Array.from({ length: 13 }, () => 'QUOTA_EXCEEDED'), ...Array.from({ length: 7 }, () => 'made')]);
    expect(answers.find(({ error }) => error)?.error?.field).toBe(field);
    expect(await attempt(vms, () => create(limited, { name: 'one-more', vcpus: 2 }))).toMatchObject(refused({ code: 'QUOTA_EXCEEDED', message }));
  });

  it('promises what a host has, exactly, under 20 at once, and names what came closest', async () => {
    const small = await pretendHost(vms, 'small', { vcpus: 5, memoryMiB: 10_000 });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => create(operator, { name: `fits-${index}`, placement: { hostId: small } })));
    expect(answers.map(({ error }) => error?.code ?? 'made').toSorted()).toEqual([...Array.from({ length: 15 }, () => 'NO_CAPACITY'), ...Array.from({ length: 5 }, () => 'made')]);
    expect(new Set(answers.flatMap(({ error }) => (error ? [error.message] : [])))).toEqual(new Set(['No host has room: short by 1 vCPU on host small.']));
    const much = await attempt(vms, () => create(operator, { name: 'much', memory: '200000MiB', placement: {} }));
    expect(much).toMatchObject(refused({ code: 'NO_CAPACITY', message: expect.stringMatching(/^No host has room: short by \d+ MiB of memory on host roomy\.$/) }));
  });

  it('is not held up by a host that changes meanwhile', async () => {
    const busy = await pretendHost(vms, 'busy');
    const CHANGE = `WITH held AS MATERIALIZED (SELECT id FROM vms.host WHERE id = $1 FOR UPDATE)
      UPDATE vms.host SET generation = generation + 1, seen_at = now() FROM held WHERE host.id = held.id`; // as when its agent reports
    const reports = (async () => {
      for (let round = 0; round < 50; round += 1) await vms.sql(CHANGE, [busy]);
    })();
    const operators = await Promise.all(Array.from({ length: 60 }, async () => viewerWith(['operator', await vms.tenant()]))); // one tenant's creations wait for each other
    const answers = await Promise.all(operators.map((one) => create(one, { name: 'meanwhile', placement: { hostId: busy } })));
    await reports;
    expect(answers.map(({ error }) => error)).toEqual(answers.map(() => null));
  });

  it('goes to no host that is offline or has not the labels', async () => {
    const off = await pretendHost(vms, 'off', { state: 'OFFLINE' });
    expect(await attempt(vms, () => create(operator, { placement: { hostId: off } }))).toMatchObject(refused({ code: 'NO_CAPACITY', message: "Host off can't take it: The host is OFFLINE." }));
    const labels = { hostId: roomy, requireLabels: { zone: 'b' } };
    expect(await attempt(vms, () => create(operator, { placement: labels }))).toMatchObject(refused({ code: 'NO_CAPACITY', message: "Host roomy can't take it: The host has no label zone=b." }));
    expect((await create(operator, { name: 'labelled', placement: { requireLabels: { zone: 'a', fast: true } } })).error).toBeNull();
  });
});

describe('an idempotency key', () => {
  it('answers ten at once with one VM and one operation', async () => {
    const input = { name: 'once', idempotencyKey: 'a key' };
    const answers = await Promise.all(Array.from({ length: 10 }, () => create(operator, input)));
    const ids = answers.map(({ data }) => `${data['createVm'].vm.id} ${data['createVm'].operation.id}`);
    expect(new Set(ids).size).toBe(1);
    expect(await vms.sql("SELECT count(*)::int FROM vms.vm WHERE name = 'once'")).toEqual([{ count: 1 }]);
    expect(await attempt(vms, () => create(operator, input))).toEqual({ error: null, changed: false });
  });

  it('is for one input, and for whoever sent it', async () => {
    expect(await attempt(vms, () => create(operator, { name: 'other', idempotencyKey: 'a key' }))).toMatchObject(refused({ code: 'CONFLICT', field: 'idempotencyKey' }));
    expect((await create(viewerWith(['operator', tenant]), { name: 'other', idempotencyKey: 'a key' })).error).toBeNull();
  });

  it('is free again when the request was refused', async () => {
    const input = { name: 'later', idempotencyKey: 'later' };
    expect(await attempt(vms, () => create(operator, { ...input, memory: '200000MiB' }))).toMatchObject(refused({ code: 'NO_CAPACITY' }));
    expect((await create(operator, input)).error).toBeNull();
  });

  it.each(['', 'x'.repeat(300)])('is refused when it is none: %j', async (idempotencyKey) => {
    expect(await attempt(vms, () => create(operator, { idempotencyKey }))).toMatchObject(refused({ code: 'BAD_USER_INPUT', field: 'idempotencyKey' }));
  });
});

describe('planVm', () => {
  it('changes nothing and explains', async () => {
    const before = await vms.footprint();
    const { data } = await plan(operator, { placement: { requireLabels: { zone: 'a' }, strategy: 'pack' } });
    const { chosen, strategy, candidates } = data['planVm'];
    expect([chosen, strategy]).toEqual([{ name: 'roomy' }, 'PACK']);
    expect(candidates[0]).toMatchObject({ host: { name: 'roomy' }, score: expect.any(Number), rejectedBecause: null });
    expect(candidates[0].factors.map((factor: { name: string }) => factor.name)).toEqual(['usedMemory', 'usedVcpus']);
    expect(candidates.slice(1)).toEqual(
      ['busy', 'off', 'small'].map((name) => ({
        host: { name },
        score: null,
        rejectedBecause: name === 'off' ? 'The host is OFFLINE.' : 'The host has no label zone=a.',
        factors: [],
      })),
    );
    expect(await vms.footprint()).toEqual(before);
  });

  it('explains why there is no place', async () => {
    const { data, error } = await plan(operator, { memory: '200000MiB' });
    expect(error).toBeNull();
    expect(data['planVm'].chosen).toBeNull();
    expect(data['planVm'].candidates.every((one: { rejectedBecause: string | null }) => one.rejectedBecause !== null)).toBe(true);
  });

  it('says what createVm then does', async () => {
    const planned = (await plan(operator, { placement: { requireLabels: { zone: 'a' } } })).data['planVm'];
    const { data } = await create(operator, { name: 'as-planned', placement: { requireLabels: { zone: 'a' } } });
    const made = await vms.ask(operator, 'query ($id: ID!) { vm(id: $id) { host { name } placement { chosen { name } candidates { score } } } }', { id: data['createVm'].vm.id });
    expect(made.data['vm'].placement).toEqual({ chosen: planned.chosen, candidates: planned.candidates.map(({ score }: { score: number }) => ({ score })) });
    expect(made.data['vm'].host).toEqual(planned.chosen);
  });
});
