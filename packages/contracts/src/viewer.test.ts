import { newId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { expect, it } from 'vitest';
import { can, PERMISSIONS, permissionsOf, tenantFor, type Permission, type Role, type Viewer } from './viewer.ts';

const [mine, other] = [newId<TenantId>(), newId<TenantId>()];
const viewerWith = (...roles: [Role, TenantId][]): Viewer => ({ userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: roles.map(([role, tenantId]) => ({ role, tenantId })) });
const both = viewerWith(['viewer', mine], ['operator', other]);

it.each<[string, Viewer, string | null, TenantId]>([
  ['the only one', viewerWith(['operator', mine], ['viewer', mine]), null, mine],
  ['the one named', both, other, other],
  ['the one named, whatever its case', both, other.toUpperCase(), other],
  ['any tenant, for an administrator of the platform', viewerWith(['platform_admin', mine]), other, other],
])('something new is for %s', (_what, viewer, named, expected) => {
  expect(tenantFor(viewer, named, 'volume')).toBe(expected);
});

it.each<[string, Viewer, string | null, object]>([
  ['a foreign tenant', viewerWith(['operator', mine]), other, { code: 'NOT_FOUND', field: 'tenantId' }],
  ['what is no id', both, 'default', { code: 'NOT_FOUND', field: 'tenantId' }],
  ['no tenant', viewerWith(), null, { code: 'FORBIDDEN' }],
  ['one of several', both, null, { code: 'BAD_USER_INPUT', field: 'tenantId', message: 'You are in several tenants: say which one the volume is for.' }],
])('nothing new is for %s', (_what, viewer, named, error) => {
  expect(() => tenantFor(viewer, named, 'volume')).toThrow(expect.objectContaining(error));
});

const of = (role: Role): Permission[] => permissionsOf(viewerWith([role, mine]));

it.each<[Role, Role]>([
  ['viewer', 'operator'],
  ['viewer', 'auditor'],
  ['operator', 'tenant_admin'],
  ['auditor', 'tenant_admin'],
  ['tenant_admin', 'platform_admin'],
])('whatever a %s may, a %s may', (less, more) => {
  expect(of(less).filter((permission) => !of(more).includes(permission))).toEqual([]);
});

it.each<Role>(['viewer', 'auditor'])('a %s changes nothing', (role) => {
  expect(of(role).filter((permission) => !permission.endsWith(':read'))).toEqual([]);
});

it('an auditor also reads who there is, what they did, and what is amiss', () => {
  expect(of('auditor').filter((permission) => !of('viewer').includes(permission))).toEqual(['audit:read', 'security:read', 'user:read']);
});

it.each<[Role, number]>([
  ['tenant_admin', 0],
  ['operator', 0],
  ['auditor', 0],
  ['viewer', 0],
  ['platform_admin', Object.keys(PERMISSIONS).length],
])('a %s of one tenant may do %i things in another', (role, count) => {
  const viewer = viewerWith([role, mine]);
  expect((Object.keys(PERMISSIONS) as Permission[]).filter((permission) => can(viewer, permission, other))).toHaveLength(count);
});

it('a role counts in its own tenant alone, where somebody has several', () => {
  expect([can(both, 'vm:start', mine), can(both, 'vm:start', other), can(both, 'vm:read', mine), can(both, 'vm:read', other)]).toEqual([false, true, true, true]);
});
