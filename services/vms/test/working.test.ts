import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DOMAIN_METADATA_URI, domainName, type Viewer } from '@novacron/contracts';
import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { attempt, beginVerb, doVerb, makeVm, requestVm, startVms, viewerWith, type Loose, type TestVms } from './vms.ts';

/** What verbs do on a real host, and what becomes of those that the host refuses. */

let vms: TestVms;
let operator: Viewer;

beforeAll(async () => {
  vms = await startVms();
  operator = viewerWith(['operator', await vms.tenant()]);
});
afterAll(() => vms?.close());

const refused = (error: object) => ({ error, changed: false });
const host = () => vms.hosts[0]!; // there is one

describe('a boot file that the host has not', () => {
  const linkTo = (target: string): string => {
    const link = join(vms.halting.bootDir, `link-to-${target.replaceAll('/', '-')}`);
    symlinkSync(target, link);
    return link;
  };
  const kernels: [string, () => { kernel: string; initrd?: string }, string][] = [
    ['a missing kernel', () => ({ kernel: join(vms.halting.bootDir, 'missing') }), 'kernel.kernel'],
    ['a missing initrd', () => ({ kernel: vms.halting.kernel, initrd: join(vms.halting.bootDir, 'missing') }), 'kernel.initrd'],
    ['a link that leaves the directories', () => ({ kernel: linkTo('/etc/passwd') }), 'kernel.kernel'],
    ['a directory behind a link', () => ({ kernel: vms.halting.kernel, initrd: join(linkTo('/etc'), 'passwd') }), 'kernel.initrd'],
    ['a directory', () => ({ kernel: linkTo(vms.guest.bootDir) }), 'kernel.kernel'],
  ];

  it.each(kernels)('ends createVm, and nothing is left behind: %s', async (_what, kernel, field) => {
    const { data } = await requestVm(vms, operator, { name: 'bootless', kernel: kernel() });
    expect(await vms.ended(data['createVm'].operation.id)).toMatchObject({ state: 'FAILED', error: { code: 'BAD_USER_INPUT', field } });
    expect(await vms.row(data['createVm'].vm.id)).toMatchObject({ state: 'DELETED', live_name: null });
    expect(await vms.virshState(data['createVm'].vm.id)).toBe('gone');
    await vms.nothingLeftBehind();
  });

  it('ends startVm, and the VM stays as it was', async () => {
    const kernel = join(vms.halting.bootDir, 'short-lived');
    writeFileSync(kernel, 'not for long');
    const id = await makeVm(vms, operator, { name: 'was-bootable', kernel: { kernel }, start: false });
    await host().exec('rm', kernel);
    const { operationId } = await beginVerb(vms, operator, 'startVm', id);
    expect(await vms.ended(operationId)).toMatchObject({ state: 'FAILED', error: { code: 'BAD_USER_INPUT', field: 'kernel.kernel' } });
    expect(await vms.row(id)).toMatchObject({ state: 'STOPPED', state_reason: expect.stringContaining('no such boot file') });
    await vms.nothingLeftBehind();
    await doVerb(vms, operator, 'deleteVm', id);
  });
});

describe('what libvirt refuses', () => {
  it('ends createVm, and nothing is left behind', async () => {
    const kernel = join(vms.halting.bootDir, 'empty');
    writeFileSync(kernel, ''); // QEMU ends when it is to load that
    const { data } = await requestVm(vms, operator, { name: 'unstartable', kernel: { kernel } });
    const { id } = data['createVm'].vm;
    expect(await vms.ended(data['createVm'].operation.id)).toMatchObject({ state: 'FAILED', error: { code: 'UNAVAILABLE', retryable: false, message: expect.stringContaining('could not load kernel') } });
    expect([(await vms.row(id))['state'], await vms.virshState(id)]).toEqual(['DELETED', 'gone']);
    await vms.nothingLeftBehind();
  });
});

describe('a VM', () => {
  it('lives through all verbs, and its events tell each state once, in order', async () => {
    const id = await makeVm(vms, operator, { name: 'lively' });
    for (const [mutation, state] of [['pauseVm', 'PAUSED'], ['resumeVm', 'RUNNING'], ['rebootVm', 'RUNNING'], ['stopVm', 'STOPPED'], ['startVm', 'RUNNING'], ['deleteVm', 'DELETED']] as const) {
      await doVerb(vms, operator, mutation, id, mutation === 'stopVm' || mutation === 'rebootVm' ? true : undefined);
      expect((await vms.row(id))['state']).toBe(state);
    }
    const events = await vms.events(id);
    expect(events.map(({ body }) => body['after'].state)).toEqual([
      ...['PENDING', 'PROVISIONING', 'RUNNING', 'PAUSING', 'PAUSED', 'RESUMING', 'RUNNING', 'REBOOTING', 'RUNNING'],
      ...['STOPPING', 'STOPPED', 'STARTING', 'RUNNING', 'DELETING', 'DELETED'],
    ]);
    expect(events.map(({ type }) => type)).toEqual(['vm.created', ...Array.from({ length: 13 }, () => 'vm.changed'), 'vm.deleted']);
    expect(events.map(({ body }) => body['after'].generation)).toEqual(events.map((_, index) => index + 1));
    await vms.nothingLeftBehind();
  });

  it('is renamed on its host too, and its name is free for another once it is deleted', async () => {
    const id = await makeVm(vms, operator, { name: 'old-name' });
    const { data } = await vms.ask(operator, 'mutation ($input: UpdateVmInput!) { updateVm(input: $input) { vm { name } operation { id } } }', { input: { id, name: 'new-name' } });
    expect((await vms.ended(data['updateVm'].operation.id)).state).toBe('SUCCEEDED');
    expect(await host().virsh('desc', domainName(id), '--title')).toBe('new-name');
    expect(await host().virsh('desc', domainName(id), '--title', '--config')).toBe('new-name');
    const second = await makeVm(vms, operator, { name: 'old-name', start: false });
    await doVerb(vms, operator, 'deleteVm', id);
    const third = await makeVm(vms, operator, { name: 'new-name', start: false });
    for (const one of [second, third]) await doVerb(vms, operator, 'deleteVm', one);
    await vms.nothingLeftBehind();
  });

  it('is started as a person has left it on the host, and defined again where NovaCron is no longer written on it', async () => {
    const id = await makeVm(vms, operator, { name: 'edited', start: false });
    await host().virsh('desc', domainName(id), '--config', 'kept by hand');
    await doVerb(vms, operator, 'startVm', id);
    expect(await host().virsh('desc', domainName(id))).toContain('kept by hand');
    await doVerb(vms, operator, 'stopVm', id, true);
    await host().virsh('metadata', domainName(id), '--uri', DOMAIN_METADATA_URI, '--remove', '--config');
    await doVerb(vms, operator, 'startVm', id);
    expect(await host().virsh('metadata', domainName(id), '--uri', DOMAIN_METADATA_URI)).toContain('definition=');
    await doVerb(vms, operator, 'deleteVm', id);
  });

  it('that is gone from its host is made again by a start', async () => {
    const id = await makeVm(vms, operator, { name: 'removed', start: false });
    await host().virsh('undefine', domainName(id));
    await expect.poll(async () => (await vms.row(id))['state'], { timeout: 3_000 }).toBe('ERROR');
    await doVerb(vms, operator, 'startVm', id);
    expect(await vms.virshState(id)).toBe('running');
    await doVerb(vms, operator, 'deleteVm', id);
  });
});

/** The step of the operation is in a worker's hands. */
const inHand = (operationId: string) =>
  eventually('the step in hand', async () => (await vms.sql("SELECT FROM operations.step WHERE operation_id = $1 AND state = 'RUNNING'", [operationId])).length > 0);

/** It has begun to wait for the guest: its progress is written with its next heartbeat. */
const isWaiting = (operationId: string) =>
  eventually('the step to wait', async () => (await vms.sql("SELECT FROM operations.step WHERE operation_id = $1 AND state = 'RUNNING' AND progress > 0", [operationId])).length > 0);

describe('a guest that ignores what it is asked', () => {
  const now = performance.now.bind(performance);
  afterEach(() => void vi.restoreAllMocks());

  it.each([
    ['stopVm', 'The guest did not shut down within 60 seconds.'],
    ['rebootVm', 'The guest did not reboot within 60 seconds.'],
  ])('ends %s after a minute, asked once and for all', async (mutation, message) => {
    const id = await makeVm(vms, operator, { name: `deaf-to-${mutation.toLowerCase()}` });
    const { operationId } = await beginVerb(vms, operator, mutation, id);
    await isWaiting(operationId);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 61_000);
    expect(await vms.ended(operationId)).toMatchObject({ state: 'FAILED', error: { code: 'UNAVAILABLE', retryable: true, message: expect.stringContaining(message) } });
    expect(await vms.sql("SELECT attempt FROM operations.step WHERE operation_id = $1 AND name <> 'vms.hold'", [operationId])).toEqual([{ attempt: 1 }]);
    expect(await vms.row(id)).toMatchObject({ state: 'RUNNING', state_reason: expect.stringContaining(message) });
    await doVerb(vms, operator, 'deleteVm', id);
  });

  it('and is unplugged meanwhile can not reboot any more', async () => {
    const id = await makeVm(vms, operator, { name: 'unplugged' });
    const { operationId } = await beginVerb(vms, operator, 'rebootVm', id);
    await inHand(operationId);
    await host().virsh('destroy', domainName(id));
    expect(await vms.ended(operationId)).toMatchObject({ state: 'FAILED', error: { code: 'INVALID_STATE' } });
    await expect.poll(async () => (await vms.row(id))['state'], { timeout: 3_000 }).toBe('STOPPED');
    await doVerb(vms, operator, 'deleteVm', id);
    await vms.nothingLeftBehind();
  });
});

describe('a graceful stop', () => {
  it('that the guest ignores becomes a forced one when that is asked for', async () => {
    const id = await makeVm(vms, operator, { name: 'stubborn' });
    const graceful = await beginVerb(vms, operator, 'stopVm', id);
    await inHand(graceful.operationId);
    const again = await beginVerb(vms, operator, 'stopVm', id);
    expect(again).toEqual(graceful);
    expect((await vms.row(id))['state']).toBe('STOPPING');
    expect(await vms.virshState(id)).toBe('running');
    const forced = await beginVerb(vms, operator, 'stopVm', id, true);
    expect(forced).toEqual(graceful);
    expect((await vms.ended(graceful.operationId, 5_000)).state).toBe('SUCCEEDED');
    expect(await vms.row(id)).toMatchObject({ state: 'STOPPED', force_stop: false });
    await doVerb(vms, operator, 'deleteVm', id);
  });

  it('shows its progress, and can be cancelled', async () => {
    const id = await makeVm(vms, operator, { name: 'spared' });
    const { operationId } = await beginVerb(vms, operator, 'stopVm', id);
    const operation = async (): Promise<Loose> => (await vms.sql('SELECT progress FROM operations.operation WHERE id = $1', [operationId]))[0]!; // it was accepted
    await eventually('some progress', async () => (await operation())['progress'] > 0.5);
    await vms.cancel(operationId);
    expect((await vms.ended(operationId)).state).toBe('CANCELLED');
    expect(await vms.row(id)).toMatchObject({ state: 'RUNNING', desired_state: 'RUNNING' });
    await doVerb(vms, operator, 'deleteVm', id);
  });
});

describe('a host whose daemon is gone', () => {
  it('is OFFLINE and takes no verbs; an operation in flight ends when the daemon is back', async () => {
    const id = await makeVm(vms, operator, { name: 'cut-off' });
    const busy = await makeVm(vms, operator, { name: 'busy' });
    const inFlight = await beginVerb(vms, operator, 'stopVm', busy); // the guest ignores it
    await inHand(inFlight.operationId);
    await host().killDaemon('SIGKILL');
    await vms.hostIs('hv1', 'OFFLINE', 3_000);
    for (const mutation of ['stopVm', 'pauseVm', 'rebootVm', 'deleteVm']) {
      expect(await attempt(vms, () => beginVerb(vms, operator, mutation, id))).toMatchObject(refused({ code: 'UNAVAILABLE', retryable: true }));
    }
    expect(await attempt(vms, () => requestVm(vms, operator, { name: 'nowhere-to-go' }))).toMatchObject(refused({ code: 'NO_CAPACITY', message: expect.stringContaining('OFFLINE') }));
    const update = 'mutation ($input: UpdateVmInput!) { updateVm(input: $input) { vm { name } operation { id } } }';
    const { data } = await vms.ask(operator, update, { input: { id, name: 'renamed-meanwhile' } }); // that needs no host
    expect((await vms.ended(data['updateVm'].operation.id)).state).toBe('SUCCEEDED');
    await host().startDaemon();
    await vms.hostIs('hv1', 'ONLINE', 5_000);
    await beginVerb(vms, operator, 'stopVm', busy, true);
    expect((await vms.ended(inFlight.operationId)).state).toBe('SUCCEEDED');
    for (const one of [id, busy]) await doVerb(vms, operator, 'deleteVm', one);
    await vms.nothingLeftBehind();
  });
});
