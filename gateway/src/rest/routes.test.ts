import { readFileSync } from 'node:fs';
import { loadSupergraph } from '@novacron/supergraph';
import { buildSchema } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createRestApi } from './api.ts';
import { deriveRoutes } from './routes.ts';

const committed = loadSupergraph(readFileSync(new URL('../../supergraph.graphql', import.meta.url), 'utf8')).apiSchema;

describe('the committed supergraph', () => {
  const { routes, unfit } = deriveRoutes(committed);

  it('has an address for every query and mutation', () => {
    expect(unfit).toEqual([]);
    const fields = [committed.getQueryType(), committed.getMutationType()].flatMap((type) => Object.keys(type?.getFields() ?? {}));
    expect(routes.map(({ field }) => field).toSorted()).toEqual(fields.toSorted());
  });

  it.each([
    ['vm', 'GET /vms/{id}'],
    ['vms', 'GET /vms'],
    ['securityGroups', 'GET /security-groups'],
    ['me', 'GET /me'],
    ['planVm', 'POST /vms/plan'],
    ['createVm', 'POST /vms'],
    ['registerHost', 'POST /hosts'],
    ['updateVm', 'PATCH /vms/{id}'],
    ['deleteVm', 'DELETE /vms/{id}'],
    ['startVm', 'POST /vms/{id}/start'],
    ['migrateVm', 'POST /vms/{id}/migrate'],
    ['attachVolume', 'POST /volumes/{id}/attach'],
    ['deleteVolumeSnapshot', 'DELETE /volume-snapshots/{id}'],
    ['setHostMaintenance', 'PUT /hosts/{id}/maintenance'],
    ['setNicSecurityGroups', 'PUT /nics/{id}/security-groups'],
    ['importImage', 'POST /images/import'],
    ['assignRole', 'POST /roles/assign'],
    ['updateProfile', 'POST /profiles/update'],
    ['deleteAccount', 'POST /accounts/delete'],
    ['refreshSession', 'POST /sessions/refresh'],
    ['login', 'POST /login'],
  ])('%s is %s', (field, address) => {
    const route = routes.find((one) => one.field === field);
    expect(`${route?.method} ${route?.path}`).toBe(address);
  });

  it('says where the operation is, of everything that takes time', () => {
    const api = createRestApi(committed, () => false);
    const accepted = routes.filter((route) => api.outcome(route).status === 202);
    expect(accepted.length).toBeGreaterThan(20);
    expect(new Set(accepted.map((route) => api.outcome(route).location?.route.path))).toEqual(new Set(['/operations/{id}']));
  });
});

const unfitOf = (sdl: string) => deriveRoutes(buildSchema(`type Query { vm(id: ID!): Vm vms: [Vm!]! } type Vm { id: ID! } ${sdl}`)).unfit;

it.each([
  ['a creation of what is there', 'type Mutation { createVm(id: ID!): Vm }', 'createVm'],
  ['a verb with more than a noun', 'type Mutation { startVmSlowly(vmId: ID!): Vm }', 'startVmSlowly'],
  ['a property of nothing', 'type Mutation { setVm(id: ID!): Vm }', 'setVm'],
  ['two fields at one address', 'type Mutation { createVm: Vm registerVm: Vm }', 'registerVm'],
  ['a filter within a filter', 'extend type Query { hosts(filter: F): [Vm!]! } input F { inner: G } input G { name: String }', 'hosts'],
  ['two parameters of one name', 'extend type Query { hosts(first: Int, filter: F): [Vm!]! } input F { first: Int }', 'hosts'],
  ['a parameter that means something else', 'extend type Query { hosts(fields: String): [Vm!]! }', 'hosts'],
])('%s has no address', (_what, sdl, field) => expect(unfitOf(sdl).map((one) => one.field)).toEqual([field]));

describe('an address is matched', () => {
  const api = createRestApi(committed, () => false);
  const match = (method: string, path: string) => {
    const matched = api.match(method, path);
    return 'route' in matched ? [matched.route.field, matched.id] : matched.allowed;
  };

  it.each([
    ['GET', '/vms', ['vms', null]],
    ['HEAD', '/vms', ['vms', null]],
    ['GET', '/vms/1', ['vm', '1']],
    ['GET', '/vms/plan', ['vm', 'plan']],
    ['POST', '/vms/plan', ['planVm', null]],
    ['POST', '/vms/a%2Fb/start', ['startVm', 'a/b']],
    ['POST', '/vms/1', ['GET', 'PATCH', 'DELETE']],
    ['GET', '/vms/1/start', ['POST']],
    ['GET', '/vms/', []],
    ['GET', '/vms/%', []],
    ['GET', '/nope', []],
    ['GET', '/vms/{id}/start/now', []],
    ['GET', '', []],
  ])('%s %s', (method, path, expected) => expect(match(method, path)).toEqual(expected));
});
