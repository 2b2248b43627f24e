import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { testRun } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attempt, doVerb, makeVm, startVms, viewerWith, type Answer, type TestVms } from './vms.ts';

/** Hosts come into the fleet, once each. */

let vms: TestVms;
let admin: Viewer;
let operator: Viewer;

beforeAll(async () => {
  vms = await startVms();
  admin = viewerWith(['platform_admin', newId()]);
  operator = viewerWith(['operator', await vms.tenant()]);
});
afterAll(() => vms?.close());

const refused = (error: object) => ({ error, changed: false });
const REGISTER = 'mutation ($input: RegisterHostInput!) { registerHost(input: $input) { id name state problem labels hypervisor { type version } } }';
const register = (viewer: Viewer | null, input: object): Promise<Answer> => vms.ask(viewer, REGISTER, { input: { name: 'new', uri: 'qemu+unix:///system?socket=/nowhere', ...input } });

describe('registerHost', () => {
  it.each([
    ['nobody', null, 'UNAUTHENTICATED'],
    ['tenant_admin', 'tenant_admin', 'FORBIDDEN'],
    ['operator', 'operator', 'FORBIDDEN'],
    ['viewer', 'viewer', 'FORBIDDEN'],
  ] as const)('is refused to %s', async (_who, role, code) => {
    expect(await attempt(vms, () => register(role && viewerWith([role, newId()]), {}))).toMatchObject(refused({ code }));
  });

  it.each([
    ['name', { name: 'No' }],
    ['uri', { uri: 'here' }],
    ['uri', { uri: '' }],
    ['uri', { uri: 'http://example.org/' }],
    ['uri', { uri: 'qemu+libssh2://example.org/system' }],
    ['uri', { uri: 'qemu+ssh://-oProxyCommand=x/system' }],
    ['uri', { uri: 'qemu+tls://example.org/system?pkipath=/etc' }],
    ['uri', { uri: 'qemu+ssh://example.org/system?command=/bin/sh' }],
    ['uri', { uri: 'qemu+unix:///system?socket=/nowhere&host=a' }],
    ['uri', { uri: 'qemu+tcp://example.org/embed' }],
    ['uri', { uri: 'test:///etc/passwd' }],
    ['migrationUri', { migrationUri: 'qemu:///system' }],
    ['migrationUri', { migrationUri: 'qemu+unix:///system?socket=/nowhere' }],
    ['migrationUri', { migrationUri: 'qemu+tls://example.org/system?no_verify=1' }],
    ['overlayAddress', { overlayAddress: 'example.org' }],
    ['labels', { labels: ['a'] }],
    ['labels', { labels: { zone: { a: 1 } } }],
    ['labels', { labels: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`l${index}`, index])) }],
  ])('refuses a bad %s: %j', async (field, input) => {
    expect(await attempt(vms, () => register(admin, input))).toMatchObject(refused({ code: 'BAD_USER_INPUT', field }));
  });

  it.each([
    ['qemu+tls://hv9.example.org/system', true],
    ['qemu+tcp://10.0.0.9/system', false],
    ['qemu+ssh://root@hv9.example.org:2222/system?keyfile=/etc/keys/id', false],
  ])('takes the migrationUri %s: encrypted %s', async (migrationUri, migrationEncrypted) => {
    const name = `to-${migrationUri.slice(5, 8)}`;
    const { data } = await vms.ask(admin, 'mutation ($input: RegisterHostInput!) { registerHost(input: $input) { migrationUri migrationEncrypted } }', {
      input: { name, uri: `qemu+unix:///system?socket=/${name}`, migrationUri },
    });
    expect(data['registerHost']).toEqual({ migrationUri, migrationEncrypted });
    await vms.sql('DELETE FROM vms.host WHERE name = $1', [name]);
  });

  it('takes a name and a URI once, also at once', async () => {
    const uri = vms.hosts[0]?.uri;
    expect(await attempt(vms, () => register(admin, { name: 'hv1' }))).toMatchObject(refused({ code: 'ALREADY_EXISTS', field: 'name' }));
    expect(await attempt(vms, () => register(admin, { uri }))).toMatchObject(refused({ code: 'ALREADY_EXISTS', field: 'uri' }));
    const input = { name: 'race', uri: 'qemu+unix:///system?socket=/race' };
    const answers = await Promise.all(Array.from({ length: 5 }, () => register(admin, input)));
    expect(answers.map(({ error }) => error?.code ?? 'made').toSorted()).toEqual([...Array.from({ length: 4 }, () => 'ALREADY_EXISTS'), 'made']);
  });

  it('answers at once; a host that nobody reaches is OFFLINE, with the reason', async () => {
    const { data } = await register(admin, { name: 'away', uri: 'qemu+unix:///system?socket=/away', labels: { zone: 'b' } });
    expect(data['registerHost']).toMatchObject({ name: 'away', state: 'OFFLINE', labels: { zone: 'b' }, hypervisor: { type: 'QEMU', version: null } });
    const { data: seen } = await vms.ask(admin, 'query { hosts(filter: { states: [OFFLINE], search: "AWA" }) { totalCount edges { node { name state } } } }');
    expect(seen).toEqual({ hosts: { totalCount: 1, edges: [{ node: { name: 'away', state: 'OFFLINE' } }] } });
  });

  it('says what a host is and has once its agent has seen it', async () => {
    const { data } = await vms.ask(admin, 'query ($id: ID!) { host(id: $id) { state problem hypervisor { type version libvirtVersion accelerated } capacity { vcpus memory } } }', { id: vms.hostIds.get('hv1') });
    expect(data['host']).toMatchObject({ state: 'ONLINE', problem: null, hypervisor: { type: 'QEMU', accelerated: false, version: expect.stringMatching(/^\d+\.\d+\.\d+$/) } });
    expect(data['host'].capacity.vcpus).toBeGreaterThan(0);
    expect((await vms.row(await makeVm(vms, operator, { name: 'guest' })))['observed']).toBe('RUNNING');
  });

  it('of a host that is there already under another URI stays OFFLINE, with the reason, and speaks for none of its VMs', async () => {
    const [first] = vms.hosts;
    const otherPath = join((await testRun()).makeDirectory('link'), 'libvirt-sock');
    symlinkSync(first!.socketPath, otherPath); // there is one
    const { data } = await register(admin, { name: 'again', uri: `qemu+unix:///system?socket=${otherPath}` });
    await vms.hostIs('again', 'OFFLINE');
    const { id } = data['registerHost'];
    // twice taken over: what it says under a higher epoch must not count
    await vms.sql('UPDATE operations.host_lease SET epoch = epoch + 5 WHERE host_id = $1', [id]);
    await expect.poll(async () => (await vms.sql('SELECT problem FROM vms.host WHERE id = $1', [id]))[0]?.['problem'], { timeout: 10_000 }).toBe('This is the host that is registered as "hv1" already.');
    const vm = await makeVm(vms, operator, { name: 'once-only' });
    await doVerb(vms, operator, 'pauseVm', vm);
    await doVerb(vms, operator, 'resumeVm', vm);
    await doVerb(vms, operator, 'stopVm', vm, true);
    expect(await vms.row(vm)).toMatchObject({ state: 'STOPPED', host_id: vms.hostIds.get('hv1') });
    expect((await vms.sql('SELECT state FROM vms.host WHERE id = $1', [id]))[0]).toEqual({ state: 'OFFLINE' });
    await vms.nothingLeftBehind();
  });
});

describe('hosts', () => {
  it('are paged, for whoever is signed in', async () => {
    const page = async (after: string | null) => (await vms.ask(operator, 'query ($after: String) { hosts(first: 2, after: $after) { edges { cursor node { name uri } } pageInfo { hasNextPage endCursor } totalCount } }', { after })).data['hosts'];
    const first = await page(null);
    const second = await page(first.pageInfo.endCursor);
    expect([...first.edges, ...second.edges].map(({ node }) => node)).toEqual(['hv1', 'race', 'away', 'again'].map((name) => ({ name, uri: null })));
    expect([first.pageInfo.hasNextPage, second.pageInfo.hasNextPage, first.totalCount]).toEqual([true, false, 4]);
    expect((await vms.ask(null, '{ hosts { totalCount } }')).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await vms.ask(operator, '{ hosts(after: "x") { totalCount } }')).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'after' });
  });

  it.each([newId(), 'no id'])('there is none %s', async (id) => {
    expect(await vms.ask(operator, 'query ($id: ID!) { host(id: $id) { name } }', { id })).toEqual({ data: { host: null }, error: null });
  });
});
