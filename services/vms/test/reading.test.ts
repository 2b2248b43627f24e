import type { Viewer } from '@novacron/contracts';
import { newId, type HostId, type TenantId } from '@novacron/core';
import { prismaAdapter } from '@novacron/database';
import { graphql } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VmsContext } from '../src/graphql/context.ts';
import { PrismaClient } from '../src/generated/prisma/client.ts';
import { createLoaders } from '../src/loaders.ts';
import { vmsSchema } from '../src/service.ts';
import { pretendHost, startVms, viewerWith, type Loose, type TestVms } from './vms.ts';

/** What lists and entities show, to whom, and at what price. */

let vms: TestVms;
let tenant: TenantId;
let foreign: TenantId;
let viewer: Viewer;
let stranger: Viewer;
let admin: Viewer;
let host: HostId;

beforeAll(async () => {
  vms = await startVms({ hosts: 0 });
  [tenant, foreign] = [await vms.tenant(), await vms.tenant()];
  [viewer, stranger, admin] = [viewerWith(['viewer', tenant]), viewerWith(['viewer', foreign]), viewerWith(['platform_admin', newId()])];
  host = await pretendHost(vms, 'shelf', { labels: { zone: 'a' } });
});
afterAll(() => vms?.close());

interface Shelved {
  tenant?: TenantId;
  name: string;
  vcpus?: number;
  memory?: number;
  state?: string;
  tags?: string[];
  deleted?: boolean;
}

/** VMs as rows: what reads them needs no more. */
async function shelve(rows: readonly Shelved[]): Promise<string[]> {
  const ids = rows.map(() => newId<string>()).toSorted(); // of one millisecond, they come in any order
  const made = rows.map((row, index) => ({ id: ids[index], tenant, vcpus: 1, memory: 2 ** 25, state: 'STOPPED', tags: [], deleted: false, ...row }));
  const placement = { chosenHostId: host, strategy: 'SPREAD', candidates: [{ hostId: host, score: 1, factors: [], rejectedBecause: null }], decidedAt: new Date() };
  await vms.sql(
    `INSERT INTO vms.vm (id, tenant_id, name, live_name, state, desired_state, vcpus, memory, tags, kernel, host_id, placement, deleted_at)
     SELECT x.id, x.tenant, x.name, CASE WHEN x.deleted THEN NULL ELSE x.name END, x.state::vms.vm_state, 'STOPPED', x.vcpus, x.memory, x.tags, '{"kernel": "/k"}', $2, $3, CASE WHEN x.deleted THEN now() END
     FROM jsonb_to_recordset($1) AS x(id uuid, tenant uuid, name text, vcpus int, memory bigint, state text, tags text[], deleted boolean)`,
    [JSON.stringify(made), host, placement],
  );
  return ids;
}

const LIST = `query ($first: Int, $after: String, $last: Int, $before: String, $filter: VmFilter, $orderBy: VmOrder) {
  vms(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy) {
    edges { cursor node { name } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }`;
const list = async (variables: object, who: Viewer | null = viewer): Promise<Loose> => {
  const { data, error } = await vms.ask(who, LIST, variables);
  return error ?? data['vms'];
};
const namesOf = (page: Loose): string[] => page['edges'].map(({ node }: Loose) => node['name']);

/** Reads a list to its end, `between` happening after each page. */
async function walk(variables: object, between: () => Promise<unknown> = async () => undefined): Promise<string[]> {
  const names: string[] = [];
  let after: string | null = null;
  do {
    const page: Loose = await list({ first: 3, ...variables, after });
    names.push(...namesOf(page));
    after = page['pageInfo'].hasNextPage ? page['pageInfo'].endCursor : null;
    await between();
  } while (after !== null);
  return names;
}

describe('a list of VMs', () => {
  const shelf: Shelved[] = [
    { name: 'delta', vcpus: 2, memory: 4, tags: ['web', 'blue'] },
    { name: 'alpha', vcpus: 1, memory: 8, state: 'RUNNING', tags: ['web'] },
    { name: 'echo', vcpus: 2, memory: 2, state: 'RUNNING', tags: ['db', 'blue'] },
    { name: 'bravo', vcpus: 4, memory: 4 },
    { name: 'foxtrot', vcpus: 1, memory: 4, state: 'CRASHED' },
    { name: 'charlie', vcpus: 2, memory: 1 },
    { name: 'buried', deleted: true },
  ];
  beforeAll(async () => {
    await shelve(shelf);
    await shelve([{ tenant: foreign, name: 'theirs', tags: ['web'] }]);
  });

  const ALL = ['delta', 'alpha', 'echo', 'bravo', 'foxtrot', 'charlie'];
  it.each([
    [undefined, ALL],
    [{ field: 'CREATED_AT', descending: true }, ALL.toReversed()],
    [{ field: 'NAME' }, ALL.toSorted()],
    [{ field: 'NAME', descending: true }, ALL.toSorted().toReversed()],
    [{ field: 'VCPUS' }, ['alpha', 'foxtrot', 'delta', 'echo', 'charlie', 'bravo']],
    [{ field: 'MEMORY', descending: true }, ['alpha', 'foxtrot', 'bravo', 'delta', 'echo', 'charlie']],
  ])('sorted by %j is the same in pages of any size, and backwards', async (orderBy, expected) => {
    expect(namesOf(await list({ orderBy }))).toEqual(expected);
    for (const first of [1, 2, 4]) expect(await walk({ first, orderBy })).toEqual(expected);
    const end = await list({ last: 4, orderBy });
    expect(namesOf(end)).toEqual(expected.slice(2));
    expect(end['pageInfo']).toMatchObject({ hasPreviousPage: true, hasNextPage: false });
    const start = await list({ last: 4, before: end['pageInfo'].startCursor, orderBy });
    expect(namesOf(start)).toEqual(expected.slice(0, 2));
    expect(start['pageInfo']).toMatchObject({ hasPreviousPage: false, hasNextPage: true });
  });

  it.each([
    [{ states: ['RUNNING', 'CRASHED'] }, ['alpha', 'echo', 'foxtrot']],
    [{ tags: ['web'] }, ['delta', 'alpha']],
    [{ tags: ['web', 'blue'] }, ['delta']],
    [{ search: 'LT' }, ['delta']],
    [{ search: '%' }, []],
    [{ states: [] }, []],
    [{ hostId: newId() }, []],
    [{ hostId: 'no id' }, []],
    [{ tenantId: 'no id' }, []],
    [{ search: '' }, ALL],
    [{ search: '_' }, []],
    [{ search: '\\' }, []],
  ])('filtered by %j', async (filter, expected) => {
    const page = await list({ filter });
    expect([namesOf(page), page['totalCount']]).toEqual([expected, expected.length]);
  });

  it('shows nothing of a foreign tenant, whoever asks for it', async () => {
    expect(namesOf(await list({ filter: { tenantId: foreign } }))).toEqual([]);
    expect(namesOf(await list({}, stranger))).toEqual(['theirs']);
    expect((await list({}, admin))['totalCount']).toBe(ALL.length + 1);
    expect((await list({ filter: { tenantId: foreign, hostId: host } }, admin))['totalCount']).toBe(1);
    expect(namesOf(await list({}, viewerWith()))).toEqual([]);
    expect(await list({}, null)).toMatchObject({ code: 'UNAUTHENTICATED' });
    const hostsVms = await vms.ask(stranger, 'query ($id: ID!) { host(id: $id) { vms { totalCount edges { node { name } } } } }', { id: host });
    expect(hostsVms.data['host'].vms).toEqual({ totalCount: 1, edges: [{ node: { name: 'theirs' } }] });
  });

  it.each([
    [{ first: 501 }, 'first'],
    [{ first: -1 }, 'first'],
    [{ last: 501 }, 'last'],
    [{ first: 1, last: 1 }, 'last'],
    [{ after: 'x' }, 'after'],
    [{ after: Buffer.from('["x","y"]').toString('base64url') }, 'after'],
    [{ before: Buffer.from('["a"]').toString('base64url') }, 'before'],
    [{ after: Buffer.from(JSON.stringify(['9'.repeat(30), newId()])).toString('base64url'), orderBy: { field: 'MEMORY' } }, 'after'],
    [{ after: Buffer.from(JSON.stringify(['999999999999', newId()])).toString('base64url'), orderBy: { field: 'VCPUS' } }, 'after'],
  ])('refuses %j', async (variables, field) => {
    expect(await list(variables)).toMatchObject({ code: 'BAD_USER_INPUT', field });
  });

  it.each(['NAME', 'CREATED_AT', 'VCPUS'] as const)('by %s shows each once while others are added', async (field) => {
    const filter = { tags: [`kept-${field}`] };
    const kept = Array.from({ length: 10 }, (_, index) => `kept-${field.toLowerCase().replace('_', '-')}-${index}`);
    await shelve(kept.map((name) => ({ name, tags: filter.tags })));
    let added = 0;
    const names = await walk({ filter, orderBy: { field } }, async () => {
      if (added < 9) await shelve(['a', 'm', 'z'].map((letter) => ({ name: `${letter}-${field.toLowerCase().replace('_', '-')}-${(added += 1)}`, tags: filter.tags })));
    });
    expect(names.filter((name) => name.startsWith('kept-')).toSorted()).toEqual(kept);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('an entity', () => {
  it('of a VM is there for its tenant only', async () => {
    const [mine] = await shelve([{ name: 'mine' }]);
    const [theirs] = await shelve([{ name: 'not-mine', tenant: foreign }]);
    const ids = [mine!, theirs!, newId<string>(), 'no id']; // both were made
    expect((await vms.entities(viewer, 'Vm', ids, 'name')).data['_entities']).toEqual([{ name: 'mine' }, null, null, null]);
    expect((await vms.entities(admin, 'Vm', ids, 'name')).data['_entities']).toEqual([{ name: 'mine' }, { name: 'not-mine' }, null, null]);
    expect((await vms.entities(null, 'Vm', ids, 'name')).data['_entities']).toEqual([null, null, null, null]);
    for (const id of ids.slice(1)) expect((await vms.ask(viewer, 'query ($id: ID!) { vm(id: $id) { name } }', { id })).data).toEqual({ vm: null });
  });

  const FIELDS = 'name state problem uri hypervisor { type accelerated } capacity { vcpus memory } allocated { vcpus memory } labels';
  it('of a host keeps what needs host:read', async () => {
    const [guarded] = (await vms.entities(viewer, 'Host', [host], FIELDS)).data['_entities'];
    expect(guarded).toEqual({ name: 'shelf', state: 'ONLINE', hypervisor: { type: 'QEMU', accelerated: false }, problem: null, uri: null, capacity: null, allocated: null, labels: null });
    const [whole] = (await vms.entities(admin, 'Host', [host], FIELDS)).data['_entities'];
    expect(whole).toMatchObject({ uri: expect.stringContaining('/nowhere/shelf'), capacity: { vcpus: 100, memory: 100_000 * 2 ** 20 }, allocated: { vcpus: 0, memory: 0 }, labels: { zone: 'a' } });
    expect((await vms.entities(null, 'Host', [host], 'name')).data['_entities']).toEqual([null]);
    for (const role of ['tenant_admin', 'operator'] as const) {
      expect((await vms.entities(viewerWith([role, tenant]), 'Host', [host], 'uri')).data['_entities']).toEqual([{ uri: null }]);
    }
  });
});

describe('the statements that a page costs', () => {
  it('are as many for 500 VMs with their hosts and placements as for one', async () => {
    const tags = ['many'];
    await shelve(Array.from({ length: 500 }, (_, index) => ({ name: `many-${index}`, tags })));
    const database = new PrismaClient({ adapter: prismaAdapter(vms.databaseUrl, 'vms', 2), log: [{ emit: 'event', level: 'query' }] });
    let statements = 0;
    database.$on('query', () => (statements += 1));
    const price = async (first: number): Promise<{ statements: number; vms: number }> => {
      statements = 0;
      const contextValue: VmsContext = {
        ...{ viewer, requestId: 'test', address: null, userAgent: null, bootDirectories: [], sealSeed: () => ({ sealed: '', keyId: '' }) },
        ...{ database, loaders: createLoaders(database), ring: () => {}, onHostRegistered: () => {} },
      };
      const source = `query ($first: Int!, $tags: [String!]) { vms(first: $first, filter: { tags: $tags }) { totalCount edges { node {
        name host { name hypervisor { type } } tenant { id } placement { chosen { name } candidates { host { name } } } } } } }`;
      const { data, errors } = await graphql({ schema: vmsSchema, source, variableValues: { first, tags }, contextValue });
      expect(errors).toBeUndefined();
      return { statements, vms: (data as Loose)['vms'].edges.length };
    };
    const one = await price(1);
    expect(one).toEqual({ statements: 3, vms: 1 }); // the page, the count, the hosts
    expect(await price(500)).toEqual({ ...one, vms: 500 });
    await database.$disconnect();
  });
});
