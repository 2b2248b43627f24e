import { buildSchema } from 'graphql';
import { describe, expect, it } from 'vitest';
import { targetReader } from './target.ts';

const fields = buildSchema(`
  type Query { nothing: Boolean }
  type Mutation { createVm: VmPayload  assignRole: User  revokeApiToken(id: ID): Boolean  logout: Boolean  createTenant: Tenant  login: AuthPayload }
  type Vm { id: ID }
  type Operation { id: ID }
  type VmPayload { operation: Operation  vm: Vm }
  type User { id: ID }
  type Tenant { id: ID }
  type AuthPayload { accessToken: String  user: User }
`).getMutationType()!.getFields(); // just declared

const read = (name: string, args: Record<string, unknown>, answer?: unknown) => targetReader(fields[name]!)(args, answer); // as declared

describe("a mutation's target", () => {
  it.each([
    ['what is made', 'createVm', { input: { tenantId: 't' } }, { vm: { id: 'v', tenantId: 't' }, operation: { id: 'o' } }, 'Vm', 'v', 't'],
    ['what was to be made', 'createVm', { input: { tenantId: 't' } }, undefined, 'Vm', null, 't'],
    ['what is being changed', 'createVm', {}, { vmId: 'v', vm: null, operationId: 'o', bell: null }, 'Vm', 'v', null],
    ['a row by another name', 'createVm', {}, { operationId: 'o', bell: { operationId: 'o' }, row: { id: 'v', tenantId: 't' } }, 'Vm', 'v', 't'],
    ['who is shown to somebody', 'assignRole', { userId: 'u', tenantId: 't' }, { user: { id: 'u' }, viewer: {} }, 'User', 'u', 't'],
    ['who was named', 'assignRole', { userId: 'u', tenantId: 't' }, undefined, 'User', 'u', 't'],
    ['who has signed in', 'login', { input: { email: 'a' } }, { accessToken: 'x', view: { user: { id: 'u' }, viewer: {} } }, 'User', 'u', null],
    ['what only the name tells', 'revokeApiToken', { id: 'a' }, true, 'ApiToken', 'a', null],
    ['a session', 'logout', {}, true, 'Session', null, null],
    ['a tenant', 'createTenant', {}, { id: 't' }, 'Tenant', 't', 't'],
  ])('%s', (_what, name, args, answer, targetType, targetId, tenantId) => {
    expect(read(name, args, answer)).toEqual({ targetType, targetId, tenantId });
  });
});
