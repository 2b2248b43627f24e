import pg from 'pg';
import { newId, type OperationId, type TenantId, type UserId } from '@novacron/core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { FULL, startOperations, submitMany, viewerWith, type TestOperations } from './operations.ts';

const acme = newId<TenantId>();
const globex = newId<TenantId>();
const admin = viewerWith(['platform_admin', newId()]);
const user = newId<UserId>();
const vm = newId<string>();
let operations: TestOperations;
const ids: Record<string, OperationId> = {};

beforeAll(async () => {
  operations = await startOperations();
  ids['queued'] = await operations.submit({ tenantId: acme, targetId: vm, kind: 'vm.create', requestedBy: user });
  ids['running'] = await operations.submit({ tenantId: acme, targetId: vm, steps: [{ name: 'vms.place', done: true }, { name: 'vms.start' }] });
  await operations.claim(ids['running']);
  ids['succeeded'] = await operations.submit({ tenantId: globex });
  await operations.succeed(ids['succeeded']);
  ids['failed'] = await operations.submit({ tenantId: acme, kind: 'vm.create', steps: [{ name: 'vms.define', undoable: false }] });
  await operations.fail(ids['failed']);
  ids['platform'] = await operations.submit({ kind: 'host.evacuate', steps: [{ name: 'vms.first' }, { name: 'vms.second' }] });
});
afterAll(() => operations?.close());

const nameOf = (id: string): string => Object.keys(ids).find((name) => ids[name] === id) ?? id;
const namesIn = (connection: { edges: { node: { id: string } }[] }): string[] => connection.edges.map(({ node }) => nameOf(node.id));

describe('an operation', () => {
  const read = async (name: string, selection: string) =>
    (await operations.ask(admin, `query ($id: ID!) { operation(id: $id) { ${selection} } }`, { id: ids[name] })).data['operation'];

  it('says what it is', async () => {
    const selection = 'id kind state progress targetType targetId error { code } requestedBy { id } tenant { id } cancellable createdAt startedAt finishedAt';
    expect(await read('queued', selection)).toEqual({
      id: ids['queued'],
      kind: 'vm.create',
      state: 'QUEUED',
      progress: 0,
      targetType: 'Vm',
      targetId: vm,
      error: null,
      requestedBy: { id: user },
      tenant: { id: acme },
      cancellable: true,
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      startedAt: null,
      finishedAt: null,
    });
    expect(await read('platform', 'tenant { id } requestedBy { id }')).toEqual({ tenant: null, requestedBy: null });
  });

  it('says why it failed', async () => {
    expect(await read('failed', 'state error { code message field retryable } cancellable finishedAt steps { state error { code } }')).toEqual({
      state: 'FAILED',
      error: FULL,
      cancellable: false,
      finishedAt: expect.any(String),
      steps: [{ state: 'FAILED', error: { code: 'NO_CAPACITY' } }],
    });
  });

  it('shows its steps in order', async () => {
    expect(await read('running', 'state progress steps { name state attempt progress error { code } startedAt finishedAt }')).toEqual({
      state: 'RUNNING',
      progress: expect.any(Number),
      steps: [
        { name: 'vms.place', state: 'SUCCEEDED', attempt: 1, progress: 0, error: null, startedAt: expect.any(String), finishedAt: expect.any(String) },
        { name: 'vms.start', state: 'RUNNING', attempt: 1, progress: 0, error: null, startedAt: expect.any(String), finishedAt: null },
      ],
    });
  });

  it('shows of its steps how they wait, are undone and have been', async () => {
    const id = await operations.submit({ steps: [{ name: 'vms.a' }, { name: 'vms.b' }] });
    ids['turning'] = id;
    const states = async () => (await read('turning', 'steps { state }')).steps.map((step: { state: string }) => step.state);
    await operations.succeed(id);
    await operations.fail(id, { ...FULL, code: 'UNAVAILABLE', retryable: true }, 0);
    expect(await states()).toEqual(['SUCCEEDED', 'QUEUED']);
    expect(await read('turning', 'steps { error { code retryable } attempt }')).toMatchObject({
      steps: [{ error: null }, { error: { code: 'UNAVAILABLE', retryable: true }, attempt: 1 }],
    });
    await operations.fail(id); // for good: it turns back
    await operations.claim(id);
    expect(await states()).toEqual(['SUCCEEDED', 'CANCELLING']);
    // record what was claimed: the claim's fence is the newest
    const [step] = await operations.sql('SELECT fence FROM operations.step WHERE operation_id = $1 AND index = 1', [id]);
    await operations.vms.$queryRawUnsafe('SELECT operations.record_step($1::uuid, 1, $2::bigint, NULL)', id, step?.['fence']);
    expect(await states()).toEqual(['SUCCEEDED', 'CANCELLED']);
    await operations.sql('DELETE FROM operations.operation WHERE id = $1', [id]);
    delete ids['turning'];
  });

  it.each(['', 'x', "' OR 1=1", '\u0000', newId<string>()])('is not there under %j', async (id) => {
    expect(await operations.ask(admin, 'query ($id: ID!) { operation(id: $id) { id } }', { id })).toEqual({ data: { operation: null }, error: null });
    expect((await operations.entities(admin, 'Operation', [id], 'id')).data).toEqual({ _entities: [null] });
  });

  it('is there under its id in capitals', async () => {
    const id = ids['queued']?.toUpperCase();
    expect((await operations.ask(admin, 'query ($id: ID!) { operation(id: $id) { id } }', { id })).data).toEqual({ operation: { id: ids['queued'] } });
  });
});

describe('the list', () => {
  const list = async (args: string, variables: object = {}) => {
    const { data, error } = await operations.ask(admin, `query ($filter: OperationFilter) { operations(${args}, filter: $filter) { totalCount edges { node { id } } } }`, variables);
    expect(error).toBeNull();
    return data['operations'];
  };
  const ALL = ['platform', 'failed', 'succeeded', 'running', 'queued'];

  it.each([
    [{}, ALL],
    [{ states: ['QUEUED'] }, ['platform', 'queued']],
    [{ states: ['FAILED', 'SUCCEEDED'] }, ['failed', 'succeeded']],
    [{ states: [] }, []],
    [{ kind: 'vm.create' }, ['failed', 'queued']],
    [{ kind: 'vm.creat' }, []],
    [{ targetId: vm }, ['running', 'queued']],
    [{ targetId: vm.toUpperCase() }, ['running', 'queued']],
    [{ targetId: 'x' }, []],
    [{ tenantId: globex }, ['succeeded']],
    [{ tenantId: '\u0000' }, []],
    [{ tenantId: acme, kind: 'vm.create', states: ['FAILED'] }, ['failed']],
    [{ states: null, kind: null, targetId: null, tenantId: null }, ALL],
  ])('filtered by %j', async (filter, expected) => {
    const found = await list('first: 10', { filter });
    expect(namesIn(found)).toEqual(expected);
    expect(found.totalCount).toBe(expected.length);
  });

  it('is read page by page, both ways', async () => {
    const page = async (args: string) =>
      (await operations.ask(admin, `{ operations(${args}) { totalCount edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`)).data['operations'];
    const [first, all] = [await page('first: 2'), await page('first: 500')];
    expect(namesIn(all)).toEqual(ALL);
    expect(first.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
    expect(first.totalCount).toBe(5);
    const rest = await page(`first: 10, after: "${first.pageInfo.endCursor}"`);
    expect([...first.edges, ...rest.edges]).toEqual(all.edges);
    expect(rest.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
    expect((await page(`last: 2, before: "${rest.pageInfo.startCursor}"`)).edges).toEqual(first.edges);
    expect(namesIn(await page('last: 2'))).toEqual(['running', 'queued']);
    expect(await page('first: 0')).toMatchObject({ edges: [], totalCount: 5 });
  });

  it('does not move under a page while others are added', async () => {
    const cursor = (await operations.ask(admin, '{ operations(first: 2) { pageInfo { endCursor } } }')).data['operations'].pageInfo.endCursor;
    const newest = await operations.submit();
    expect(namesIn(await list(`first: 1, after: "${cursor}"`))).toEqual(['succeeded']);
    await operations.sql('DELETE FROM operations.operation WHERE id = $1', [newest]);
  });

  const cursor = (key: unknown) => Buffer.from(JSON.stringify(key)).toString('base64url');
  it.each([
    ['first: 501', 'first'],
    ['first: -1', 'first'],
    ['last: 501', 'last'],
    ['first: 1, last: 1', 'last'],
    ['after: "x"', 'after'],
    [`after: "${cursor(['x'])}"`, 'after'],
    [`before: "${cursor(["'; --"])}"`, 'before'],
    [`after: "${cursor([newId(), newId()])}"`, 'after'],
    ['filter: { kind: "" }', 'filter.kind'],
    ['filter: { kind: "a\\u0000" }', 'filter.kind'],
  ])('refuses %s', async (args, field) => {
    expect((await operations.ask(admin, `{ operations(${args}) { totalCount } }`)).error).toMatchObject({ code: 'BAD_USER_INPUT', field });
  });
});

describe("a VM's operations", () => {
  const read = async (ofVms: string[], args: string) => {
    const { data, error } = await operations.entities(admin, 'Vm', ofVms, `id operations${args} { totalCount edges { cursor node { id kind } } pageInfo { hasNextPage hasPreviousPage endCursor } }`);
    return { vms: data?.['_entities'], error };
  };

  it('are those that worked on it', async () => {
    const { vms } = await read([vm, newId(), 'x', vm.toUpperCase()], '');
    expect(vms.map((one: { operations: { totalCount: number } }) => one.operations.totalCount)).toEqual([2, 0, 0, 2]);
    expect(vms.map((one: { operations: never }) => namesIn(one.operations))).toEqual([['running', 'queued'], [], [], ['running', 'queued']]);
  });

  it('are read page by page', async () => {
    const first = (await read([vm], '(first: 1)')).vms[0].operations;
    expect(namesIn(first)).toEqual(['running']);
    expect(first).toMatchObject({ totalCount: 2, pageInfo: { hasNextPage: true, hasPreviousPage: false } });
    const second = (await read([vm], `(first: 1, after: "${first.pageInfo.endCursor}")`)).vms[0].operations;
    expect(namesIn(second)).toEqual(['queued']);
    expect(second).toMatchObject({ totalCount: 2, pageInfo: { hasNextPage: false, hasPreviousPage: true } });
    expect(namesIn((await read([vm], '(first: 0)')).vms[0].operations)).toEqual([]);
  });

  it('can be asked for under two names', async () => {
    const { data } = await operations.entities(admin, 'Vm', [vm], 'one: operations(first: 1) { edges { node { id } } } all: operations { edges { node { id } } }');
    expect([namesIn(data['_entities'][0].one), namesIn(data['_entities'][0].all)]).toEqual([['running'], ['running', 'queued']]);
  });

  it.each([
    ['(first: 501)', 'first'],
    [`(after: "${Buffer.from('["x"]').toString('base64url')}")`, 'after'],
  ])('refuse %s', async (args, field) => {
    expect((await read([vm], args)).error).toMatchObject({ code: 'BAD_USER_INPUT', field });
  });
});

describe('the number of queries', () => {
  const tenant = newId<TenantId>();
  const viewer = viewerWith(['operator', tenant]);
  const NODE = 'id kind state cancellable steps { name state error { code } } requestedBy { id } tenant { id } error { code }';
  const targets = Array.from({ length: 100 }, () => newId<string>());
  let many: OperationId[];

  beforeAll(async () => {
    many = [];
    for (const targetId of targets) {
      many.push(...(await submitMany(operations, 5, { tenantId: tenant, targetId, requestedBy: user, steps: [{ name: 'vms.a' }, { name: 'vms.b' }] })));
    }
  });

  const count = async (work: () => Promise<{ error: unknown }>): Promise<number> => {
    const query = vi.spyOn(pg.Client.prototype, 'query');
    try {
      expect((await work()).error).toBeNull();
      return query.mock.calls.length;
    } finally {
      query.mockRestore();
    }
  };

  it('is 3 for a page of 500 with their steps: operations, steps, their number', async () => {
    let answer = await operations.ask(viewer, '{ operations(first: 1) { totalCount } }'); // connects
    const list = (first: number) => async () => (answer = await operations.ask(viewer, `{ operations(first: ${first}) { totalCount edges { node { ${NODE} } } } }`));
    expect(await count(list(500))).toBe(3);
    expect(answer.data['operations'].edges).toHaveLength(500);
    expect(answer.data['operations'].edges[0].node.steps).toHaveLength(2);
    expect(await count(list(2))).toBe(3);
  });

  it('is 2 for 500 entities', async () => {
    expect(await count(() => operations.entities(viewer, 'Operation', many, NODE))).toBe(2);
    expect(await count(() => operations.entities(viewer, 'Operation', many.slice(0, 2), NODE))).toBe(2);
  });

  it('is 4 for the operations of 100 VMs: which, what they are, steps, their number', async () => {
    let answer = await operations.ask(viewer, '{ operations(first: 1) { totalCount } }');
    const read = (vms: string[]) => async () => (answer = await operations.entities(viewer, 'Vm', vms, `operations(first: 3) { totalCount edges { node { ${NODE} } } }`));
    expect(await count(read(targets))).toBe(4);
    expect(answer.data['_entities'].map((one: { operations: { totalCount: number; edges: [] } }) => [one.operations.totalCount, one.operations.edges.length])).toEqual(targets.map(() => [5, 3]));
    expect(await count(read(targets.slice(0, 2)))).toBe(4);
  });

  it('stays within what a statement can hold', async () => {
    const ofMany = newId<TenantId>();
    await operations.sql(
      `WITH made AS (INSERT INTO operations.operation (id, service, kind, target_type, target_id, tenant_id)
         SELECT gen_random_uuid(), 'vms', 'vm.start', 'Vm', gen_random_uuid(), $1 FROM generate_series(1, 33000) RETURNING id)
       INSERT INTO operations.step (operation_id, index, name, service, input) SELECT id, 0, 'vms.start', 'vms', '{}' FROM made`,
      [ofMany],
    );
    const rows = await operations.sql('SELECT id, target_id FROM operations.operation WHERE tenant_id = $1', [ofMany]);
    const steps = await operations.entities(admin, 'Operation', rows.map((row) => row['id']), 'steps { name }');
    expect(steps.error).toBeNull();
    expect(steps.data['_entities'].every((one: { steps: object[] }) => one.steps.length === 1)).toBe(true);
    const counts = await operations.entities(admin, 'Vm', rows.map((row) => row['target_id']), 'operations { totalCount edges { cursor } }');
    expect(counts.error).toBeNull();
    expect(counts.data['_entities'].every((one: { operations: { totalCount: number } }) => one.operations.totalCount === 1)).toBe(true);
  });

  it('never reads what steps were given: their inputs are the services’ own', async () => {
    const query = vi.spyOn(pg.Client.prototype, 'query');
    try {
      await operations.ask(viewer, `{ operations(first: 5) { edges { node { ${NODE} } } } }`);
      expect(JSON.stringify(query.mock.calls)).not.toMatch(/"input"|"output"/);
    } finally {
      query.mockRestore();
    }
  });
});
