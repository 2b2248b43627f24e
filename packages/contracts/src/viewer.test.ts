import { newId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { expect, it } from 'vitest';
import { tenantFor, type Role, type Viewer } from './viewer.ts';

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
