import { ROLES, type Viewer } from '@novacron/contracts';
import { newId, type OperationId, type TenantId } from '@novacron/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOperations, viewerWith, type TestOperations } from './operations.ts';

/** Who sees and cancels what: every role, in its own tenant, in a foreign one, and where there is no tenant. */

const acme = newId<TenantId>();
const globex = newId<TenantId>();
const people: Record<string, Viewer> = {
  ...Object.fromEntries(ROLES.map((role) => [role, viewerWith([role, acme])])),
  stranger: viewerWith(['tenant_admin', globex]),
  nobodys: viewerWith(),
  both: viewerWith(['viewer', acme], ['operator', globex]),
};
const vm = newId<string>();
let operations: TestOperations;
let ids: Record<'acme' | 'globex' | 'platform', OperationId>;

beforeAll(async () => {
  operations = await startOperations();
  ids = {
    acme: await operations.submit({ tenantId: acme, targetId: vm }),
    globex: await operations.submit({ tenantId: globex, targetId: vm }),
    platform: await operations.submit({ targetId: vm }),
  };
});
afterAll(() => operations?.close());

type Whose = keyof typeof ids;
const MATRIX: [who: string, whose: Whose, seen: boolean, cancel: 'yes' | 'FORBIDDEN' | 'NOT_FOUND'][] = [
  ['platform_admin', 'acme', true, 'yes'],
  ['platform_admin', 'globex', true, 'yes'],
  ['platform_admin', 'platform', true, 'yes'],
  ['tenant_admin', 'acme', true, 'yes'],
  ['tenant_admin', 'globex', false, 'NOT_FOUND'],
  ['tenant_admin', 'platform', false, 'NOT_FOUND'],
  ['operator', 'acme', true, 'yes'],
  ['operator', 'globex', false, 'NOT_FOUND'],
  ['operator', 'platform', false, 'NOT_FOUND'],
  ['viewer', 'acme', true, 'FORBIDDEN'],
  ['viewer', 'globex', false, 'NOT_FOUND'],
  ['viewer', 'platform', false, 'NOT_FOUND'],
  ['auditor', 'acme', true, 'FORBIDDEN'],
  ['auditor', 'globex', false, 'NOT_FOUND'],
  ['auditor', 'platform', false, 'NOT_FOUND'],
  ['stranger', 'acme', false, 'NOT_FOUND'],
  ['stranger', 'globex', true, 'yes'],
  ['nobodys', 'acme', false, 'NOT_FOUND'],
  ['nobodys', 'platform', false, 'NOT_FOUND'],
  ['both', 'acme', true, 'FORBIDDEN'],
  ['both', 'globex', true, 'yes'],
  ['both', 'platform', false, 'NOT_FOUND'],
];

const someone = (name: string): Viewer => people[name] ?? viewerWith();

it('every role is in the matrix', () => {
  expect(MATRIX.map(([who]) => who)).toEqual(expect.arrayContaining([...ROLES]));
});

describe.each(MATRIX)('%s and an operation of %s (seen: %s, cancels: %s)', (who, whose, seen, cancel) => {
  const id = () => ids[whose];

  it('by its id', async () => {
    const expected = seen ? { id: id(), steps: [{ name: 'vms.start' }], cancellable: cancel === 'yes' } : null;
    const selection = 'id steps { name } cancellable';
    expect(await operations.ask(someone(who), `query ($id: ID!) { operation(id: $id) { ${selection} } }`, { id: id() })).toEqual({
      data: { operation: expected },
      error: null,
    });
    expect(await operations.entities(someone(who), 'Operation', [id()], selection)).toEqual({ data: { _entities: [expected] }, error: null });
  });

  it('in the lists', async () => {
    const page = 'totalCount edges { node { id } }';
    const filter = whose === 'platform' ? '' : `(filter: { tenantId: "${whose === 'acme' ? acme : globex}" })`;
    const { data } = await operations.ask(someone(who), `{ operations${filter} { ${page} } }`);
    const ofVm = (await operations.entities(someone(who), 'Vm', [vm], `operations { ${page} }`)).data['_entities'][0];
    for (const list of [data['operations'], ofVm.operations]) {
      const found = list.edges.map((edge: { node: { id: string } }) => edge.node.id);
      expect(found.includes(id())).toBe(seen);
      expect(list.totalCount).toBe(found.length);
    }
  });

  it('cancelled', async () => {
    const own = await operations.submit({ tenantId: whose === 'platform' ? null : whose === 'acme' ? acme : globex });
    const { data, error } = await operations.ask(someone(who), 'mutation ($id: ID!) { cancelOperation(id: $id) { id state } }', { id: own });
    const [row] = await operations.sql('SELECT state FROM operations.operation WHERE id = $1', [own]);
    expect(error?.code ?? data['cancelOperation']).toEqual(cancel === 'yes' ? { id: own, state: 'CANCELLED' } : cancel);
    expect(row?.['state']).toBe(cancel === 'yes' ? 'CANCELLED' : 'QUEUED');
    await operations.sql('DELETE FROM operations.operation WHERE id = $1', [own]);
  });
});

describe('nobody', () => {
  it.each(['{ operation(id: "x") { id } }', '{ operations { totalCount } }', 'mutation { cancelOperation(id: "x") { id } }'])('is refused %s', async (source) => {
    expect((await operations.ask(null, source)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('finds no entity', async () => {
    expect(await operations.entities(null, 'Operation', [ids.acme, ids.platform], 'id')).toEqual({ data: { _entities: [null, null] }, error: null });
    expect((await operations.entities(null, 'Vm', [vm], 'operations { totalCount }')).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});
