import { buildSchema } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createRestApi } from './api.ts';
import { toVariables } from './request.ts';

const api = createRestApi(
  buildSchema(/* GraphQL */ `
    type Query { vm(id: ID!): Vm vms(first: Int, filter: VmFilter, orderBy: VmOrder): [Vm!]! near(place: String!): [Vm!]! }
    type Mutation {
      createVm(input: CreateVm!): Vm
      updateVm(input: UpdateVm!): Vm
      resizeVm(id: ID!, size: Int!): Vm
      deleteVm(id: ID!, keep: Boolean): Vm
      startVm(vmId: ID!): Vm
    }
    type Vm { id: ID! }
    input VmFilter { states: [String!] running: Boolean cpu: Float name: String }
    input VmOrder { field: VmField! descending: Boolean }
    enum VmField { NAME AGE }
    input CreateVm { name: String! idempotencyKey: String }
    input UpdateVm { id: ID! name: String }
  `),
  () => false,
);

function variables(field: string, { id = null as string | null, query = '', body = undefined as unknown, key = null as string | null } = {}) {
  return toVariables(api.byField(field)!, { id, query: new URLSearchParams(query), body, idempotencyKey: key }); // every field has an address
}

it.each([
  ['an id', 'vm', { id: '7' }, { id: '7' }],
  ['an id of another name', 'startVm', { id: '7' }, { vmId: '7' }],
  ['a number', 'vms', { query: 'first=5' }, { first: 5 }],
  ['a filter', 'vms', { query: 'states=A&states=B&running=true&cpu=0.5&name=5' }, { filter: { states: ['A', 'B'], running: true, cpu: 0.5, name: '5' } }],
  ['a list of one', 'vms', { query: 'states=A' }, { filter: { states: ['A'] } }],
  ['an order', 'vms', { query: 'orderBy=NAME' }, { orderBy: { field: 'NAME', descending: false } }],
  ['the other way round', 'vms', { query: 'orderBy=-NAME' }, { orderBy: { field: 'NAME', descending: true } }],
  ['a choice of fields, which is no argument', 'vms', { query: 'fields=id' }, {}],
  ['text that is no number, for the graph to refuse', 'vms', { query: 'first=x&running=yes' }, { first: 'x', filter: { running: 'yes' } }],
  ['an input', 'createVm', { body: { name: 'a' } }, { input: { name: 'a' } }],
  ['an input with the id of the path', 'updateVm', { id: '7', body: { name: 'a' } }, { input: { id: '7', name: 'a' } }],
  ['an input without a member', 'updateVm', { id: '7' }, { input: { id: '7' } }],
  ['arguments', 'resizeVm', { id: '7', body: { size: 3 } }, { id: '7', size: 3 }],
  ['an option of a deletion', 'deleteVm', { id: '7', query: 'keep=true' }, { id: '7', keep: true }],
  ['a key of the header', 'createVm', { body: { name: 'a' }, key: 'k' }, { input: { name: 'a', idempotencyKey: 'k' } }],
  ['a key of the body before that of the header', 'createVm', { body: { name: 'a', idempotencyKey: 'b' }, key: 'k' }, { input: { name: 'a', idempotencyKey: 'b' } }],
  ['a key that nothing here takes', 'resizeVm', { id: '7', body: { size: 3 }, key: 'k' }, { id: '7', size: 3 }],
  ['names that mean something to JavaScript', 'createVm', { body: JSON.parse('{"name":"__proto__"}') }, { input: { name: '__proto__' } }],
])('%s', (_what, field, request, expected) => expect(variables(field, request)).toEqual(expected));

describe('refuses', () => {
  it.each([
    ['an unknown parameter', 'vms', { query: 'nope=1' }, 'nope'],
    ['a parameter twice', 'vms', { query: 'first=1&first=2' }, 'first'],
    ['a missing parameter', 'near', {}, 'place'],
    ['an unknown field', 'createVm', { body: { name: 'a', nope: 1 } }, 'nope'],
    ['a missing field', 'createVm', { body: {} }, 'name'],
    ['a missing argument', 'resizeVm', { id: '7' }, 'size'],
    ['an id beside that of the path', 'updateVm', { id: '7', body: { id: '8' } }, 'id'],
    ['parameters of a body', 'createVm', { body: { name: 'a' }, query: 'name=b' }, 'name'],
    ['what the prototype of every object has', 'createVm', { body: JSON.parse('{"name":"a","constructor":1}') }, 'constructor'],
    ['a body that is a list', 'createVm', { body: [] }, undefined],
    ['a body that is text', 'createVm', { body: 'x' }, undefined],
  ])('%s', (_what, field, request, at) => expect(() => variables(field, request)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: at })));
});
