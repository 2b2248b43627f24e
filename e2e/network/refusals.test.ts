import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph, Loose } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';
import { createVm, Operation, vmInput, type Vm } from '../kit/vm.ts';
import { attachNic, createGroup, createNetwork, defaultNetwork, footprintOf, haveVm, nothingLeftBehind, registerHosts } from './network.ts';

let system: Embedded;
let people: People;
let alice: Graph;
let vm: Vm;
let stopped: Loose;

beforeAll(async () => {
  system = await startEmbedded();
  people = await makePeople(system.graph);
  alice = system.graph.as(people.tenantAdmin);
  await registerHosts(system, system.graph.as(people.platformAdmin));
  stopped = { memory: '16MiB', start: false, networks: [] };
  vm = await haveVm(alice, system.guest, stopped);
}, 60_000);
afterAll(() => system?.close());

const CREATE = 'mutation ($input: CreateNetworkInput!) { createNetwork(input: $input) { network { id } } }';
const ATTACH = 'mutation ($input: AttachNicInput!) { attachNic(input: $input) { nic { id } } }';
const GROUP = 'mutation ($input: CreateSecurityGroupInput!) { createSecurityGroup(input: $input) { id } }';
const NOWHERE = '01900000-0000-7000-8000-000000000000';

/** The error, which changed nothing and left nothing. */
async function refusal(graph: Graph, document: string, variables: object): Promise<{ code: string; field: string | undefined; message: string }> {
  const before = await footprint();
  const { extensions, message } = await graph.refused(document, variables);
  expect(await footprint()).toEqual(before);
  return { code: extensions.code, field: extensions.field, message };
}

const footprint = async () => ({
  rows: await system.sql(`SELECT (SELECT count(*) FROM network.network) AS networks, (SELECT count(*) FROM network.network_host) AS hosts,
    (SELECT count(*) FROM network.nic) AS nics, (SELECT count(*) FROM network.security_group) AS groups, (SELECT count(*) FROM operations.operation) AS operations,
    (SELECT count(*) FROM vms.vm WHERE operation_id IS NOT NULL) AS held`),
  host: await footprintOf(system.host),
});

describe('a network', () => {
  it.each([
    [{ name: 'Bad name' }, 'BAD_USER_INPUT', 'name'],
    [{ cidr: '10.1.0.1/24' }, 'BAD_USER_INPUT', 'cidr'],
    [{ cidr: '10.1.0.0/30' }, 'BAD_USER_INPUT', 'cidr'],
    [{ cidr: '127.0.0.0/24' }, 'BAD_USER_INPUT', 'cidr'],
    [{ cidr: '8.8.8.0/24' }, 'BAD_USER_INPUT', 'cidr'],
    [{ cidr: 'fd00::/64' }, 'BAD_USER_INPUT', 'cidr'],
    [{ tenantId: NOWHERE }, 'NOT_FOUND', 'tenantId'],
    [{ idempotencyKey: '' }, 'BAD_USER_INPUT', 'idempotencyKey'],
  ])('is refused for %o', async (input, code, field) => {
    expect(await refusal(alice, CREATE, { input: { name: 'odd', ...input } })).toMatchObject({ code, field });
  });

  it('is refused where it overlaps another one of the tenant, or the default one, and not where it overlaps a stranger\'s', async () => {
    await createNetwork(alice, { name: 'first', cidr: '10.8.0.0/20' });
    expect(await refusal(alice, CREATE, { input: { name: 'second', cidr: '10.8.15.0/24' } })).toMatchObject({ code: 'BAD_USER_INPUT', field: 'cidr', message: expect.stringMatching(/overlaps that of network "first" \(10\.8\.0\.0\/20\)/) });
    const { cidr } = await defaultNetwork(alice);
    expect(await refusal(alice, CREATE, { input: { name: 'second', cidr } })).toMatchObject({ code: 'BAD_USER_INPUT', field: 'cidr', message: expect.stringMatching(/network "default"/) });
    expect(await refusal(alice, CREATE, { input: { name: 'first', cidr: '10.8.16.0/20' } })).toMatchObject({ code: 'ALREADY_EXISTS', field: 'name' });
    const greta = system.graph.as(people.stranger);
    const theirs = await createNetwork(greta, { name: 'first', cidr: '10.8.0.0/20' });
    expect(await refusal(alice, ATTACH, { input: { vmId: vm.id, networkId: theirs['id'] } })).toMatchObject({ code: 'NOT_FOUND', field: 'networkId' });
    expect(await refusal(alice, 'mutation ($id: ID!) { deleteNetwork(id: $id) { operation { id } } }', { id: theirs['id'] })).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is refused where a host of the fleet is', async () => {
    const [address] = await system.sql<{ address: string }>('SELECT address FROM network.tunnel_ends() WHERE address IS NOT NULL');
    const cidr = `${address?.address.replace(/\d+$/, '0')}/24`;
    expect(await refusal(alice, CREATE, { input: { name: 'mine', cidr } })).toMatchObject({ code: 'BAD_USER_INPUT', field: 'cidr', message: expect.stringMatching(/fleet/) });
  });

  it('is one, however often it is asked for with one key', async () => {
    const input = { name: 'keyed', cidr: '10.8.32.0/24', idempotencyKey: 'k' };
    const [one, two] = [await createNetwork(alice, input), await createNetwork(alice, input)];
    expect(two['id']).toBe(one['id']);
    expect(await refusal(alice, CREATE, { input: { ...input, cidr: '10.8.33.0/24' } })).toMatchObject({ code: 'CONFLICT', field: 'idempotencyKey' });
  });

  it('gets a free range when none is asked for, and one of its own when many are made at once', async () => {
    const made = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => createNetwork(alice, { name })));
    expect(new Set(made.map((network) => network['cidr'])).size).toBe(5);
  });

  it('is full when it is full, and has room again', async () => {
    const { id } = await createNetwork(alice, { name: 'small', cidr: '10.8.40.0/29' });
    const made = await Promise.all(Array.from({ length: 5 }, () => createVm(alice, system.guest, { ...stopped, networks: [id] })));
    for (const { operation } of made) await operation.succeeds(90_000);
    const document = 'mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id } } }';
    expect(await refusal(alice, document, { input: vmInput(system.guest, { ...stopped, networks: [id] }) })).toMatchObject({ code: 'NO_CAPACITY', field: 'networks', message: expect.stringMatching(/no free address/) });
    expect(await refusal(alice, document, { input: vmInput(system.guest, { ...stopped, networks: [NOWHERE] }) })).toMatchObject({ code: 'NOT_FOUND', field: 'networks' });
    await made[0]?.vm.does('delete');
    const { vm: again, operation } = await createVm(alice, system.guest, { ...stopped, networks: [id] });
    await operation.succeeds(90_000);
    await Promise.all([again, ...made.slice(1).map((one) => one.vm)].map((one) => one.does('delete')));
    await nothingLeftBehind(system);
  }, 120_000);

  it('stays when it is everyone\'s', async () => {
    const admin = system.graph.as(people.platformAdmin);
    const { id } = await defaultNetwork(admin);
    expect(await refusal(admin, 'mutation ($id: ID!) { deleteNetwork(id: $id) { operation { id } } }', { id })).toMatchObject({ code: 'INVALID_STATE' });
  });

  it('can be no overlay where no host has an overlay address', async () => {
    await system.sql("UPDATE vms.host SET migration_uri = NULL, overlay_address = NULL");
    expect(await refusal(alice, CREATE, { input: { name: 'over', kind: 'OVERLAY', cidr: '10.8.50.0/24' } })).toMatchObject({ code: 'INVALID_STATE', field: 'kind' });
    await system.sql("UPDATE vms.host SET overlay_address = $1", [system.host.address]);
  });
});

describe('a NIC', () => {
  it('is for a stranger\'s VM refused in the same words as for one that there is not', async () => {
    const greta = system.graph.as(people.stranger);
    const { id: networkId } = await defaultNetwork(greta);
    const unknown = await refusal(greta, ATTACH, { input: { vmId: NOWHERE, networkId } });
    expect(unknown).toMatchObject({ code: 'NOT_FOUND', field: 'vmId' });
    expect(await refusal(greta, ATTACH, { input: { vmId: vm.id, networkId } })).toEqual(unknown);
  });

  it('is refused with a MAC address or an address that is another\'s, or none', async () => {
    const { id: networkId } = await createNetwork(alice, { name: 'nics', cidr: '10.8.60.0/24' });
    const nic = await attachNic(alice, { vmId: vm.id, networkId, mac: '52:54:00:12:34:56', address: '10.8.60.9' });
    const of = (more: Loose) => ({ input: { vmId: vm.id, networkId, ...more } });
    expect(await refusal(alice, ATTACH, of({ mac: '52:54:00:12:34:56' }))).toMatchObject({ code: 'ALREADY_EXISTS', field: 'mac' });
    expect(await refusal(alice, ATTACH, of({ mac: '01:00:5e:00:00:01' }))).toMatchObject({ code: 'BAD_USER_INPUT', field: 'mac' });
    expect(await refusal(alice, ATTACH, of({ address: '10.8.60.9' }))).toMatchObject({ code: 'ALREADY_EXISTS', field: 'address' });
    for (const address of ['10.8.60.0', '10.8.60.1', '10.8.60.255', '10.8.61.5', 'x', '10.8.60.9/24']) expect(await refusal(alice, ATTACH, of({ address }))).toMatchObject({ code: 'BAD_USER_INPUT', field: 'address' });
    expect(await refusal(alice, ATTACH, of({ networkId: NOWHERE }))).toMatchObject({ code: 'NOT_FOUND', field: 'networkId' });
    expect(await refusal(alice, ATTACH, of({ vmId: NOWHERE }))).toMatchObject({ code: 'NOT_FOUND', field: 'vmId' });
    expect(await refusal(alice, ATTACH, of({ securityGroupIds: [NOWHERE] }))).toMatchObject({ code: 'NOT_FOUND', field: 'securityGroupIds' });
    expect(await refusal(system.graph.as(people.viewer), ATTACH, of({}))).toMatchObject({ code: 'FORBIDDEN' });
    const theirs = await createGroup(system.graph.as(people.stranger), { name: 'theirs' });
    expect(await refusal(alice, 'mutation ($id: ID!, $groups: [ID!]!) { setNicSecurityGroups(nicId: $id, securityGroupIds: $groups) { nic { id } } }', { id: nic['id'], groups: [theirs] })).toMatchObject({ code: 'NOT_FOUND', field: 'securityGroupIds' });
    const { detachNic } = await alice.run('mutation ($id: ID!) { detachNic(id: $id) { operation { id } } }', { id: nic['id'] });
    await new Operation(alice, detachNic.operation.id).succeeds(60_000);
  }, 60_000);

  it('is refused on a host where another tenant\'s network has the same addresses', async () => {
    const greta = system.graph.as(people.stranger);
    const [ours, theirs] = [await createNetwork(alice, { name: 'same', cidr: '10.8.70.0/24' }), await createNetwork(greta, { name: 'same', cidr: '10.8.70.0/24' })];
    const first = await haveVm(greta, system.guest, { ...stopped, networks: [theirs['id']] });
    expect(await refusal(alice, ATTACH, { input: { vmId: vm.id, networkId: ours['id'] } })).toMatchObject({ code: 'INVALID_STATE', field: 'networkId', message: expect.stringMatching(/Another network on it has some of the same addresses/) });
    await first.does('delete');
    await nothingLeftBehind(system);
  }, 60_000);
});

describe('a security group', () => {
  it.each([
    [{ name: '-' }, 'name'],
    [{ rules: [{ direction: 'INGRESS', protocol: 'ICMP', portFrom: 1 }] }, 'rules.0.portFrom'],
    [{ rules: [{ direction: 'INGRESS', protocol: 'TCP', portFrom: 70_000 }] }, 'rules.0.portFrom'],
    [{ rules: [{ direction: 'INGRESS', protocol: 'TCP', cidr: "10.0.0.0/8'/>" }] }, 'rules.0.cidr'],
    [{ description: '\u0000' }, 'description'],
  ])('is refused for %o', async (input, field) => {
    expect(await refusal(alice, GROUP, { input: { name: 'odd', ...input } })).toMatchObject({ code: 'BAD_USER_INPUT', field });
  });

  it('is the tenant\'s own', async () => {
    const id = await createGroup(alice, { name: 'own' });
    expect(await refusal(alice, GROUP, { input: { name: 'own' } })).toMatchObject({ code: 'ALREADY_EXISTS', field: 'name' });
    expect(await refusal(system.graph.as(people.stranger), 'mutation ($id: ID!) { deleteSecurityGroup(id: $id) { id } }', { id })).toMatchObject({ code: 'NOT_FOUND' });
    const { securityGroups } = await system.graph.as(people.stranger).run('{ securityGroups { edges { node { id } } } }');
    expect(securityGroups.edges.map((edge: Loose) => edge['node'].id)).not.toContain(id);
  });
});
