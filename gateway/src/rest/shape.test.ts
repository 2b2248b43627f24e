import { buildSchema, type GraphQLOutputType } from 'graphql';
import { describe, expect, it } from 'vitest';
import { chosenShape, defaultShape, present, printShape } from './shape.ts';

const schema = buildSchema(/* GraphQL */ `
  type Query { vm: Vm vms: VmConnection! tags: [String!]! count: Int! payload: VmPayload! pets: [Pet!]! }
  type Vm {
    id: ID! name: String! tags: [String!]! state: State!
    host: Host nics: [Nic!]! volumes: [Volume!]! operations: VmConnection! usage: Usage
    history(from: Int!): [Usage!]! later(first: Int): Int
  }
  enum State { ON OFF }
  type Host { id: ID! name: String! }
  type Volume { id: ID! size: Int! }
  type Nic { address: String host: Host }
  type Usage { cpu: Float! vm: Vm! inner: Usage }
  type VmPayload { vm: Vm! note: String }
  type VmConnection { edges: [VmEdge!]! pageInfo: PageInfo! totalCount: Int! }
  type VmEdge { node: Vm! cursor: String! }
  type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
  union Pet = Host | Volume
`);
const typeOf = (field: string): GraphQLOutputType => schema.getQueryType()!.getFields()[field]!.type; // of the schema above
const PAGE = 'pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';

describe('without a choice', () => {
  it.each([
    ['vm', '{ id name tags state host { id } nics { address host { id } } usage { cpu } later }'],
    ['vms', `{ edges { node { id name tags state host { id } usage { cpu } later } } totalCount ${PAGE} }`],
    ['payload', '{ vm { id name tags state host { id } usage { cpu } later } note }'],
    ['tags', ''],
    ['count', ''],
    ['pets', '{ __typename }'],
  ])('%s is asked for %s', (field, selection) => expect(printShape(defaultShape(typeOf(field)))).toBe(selection));
});

describe('chosen', () => {
  it.each([
    ['vm', 'name', '{ name }'],
    ['vm', 'name, host.name', '{ name host { name } }'],
    ['vm', 'host,host.name', '{ host { id name } }'],
    ['vm', 'volumes.size', '{ volumes { size } }'],
    ['vms', 'name', `{ edges { node { name } } totalCount ${PAGE} }`],
    ['vm', 'operations.name', `{ operations { edges { node { name } } totalCount ${PAGE} } }`],
    ['vm', 'operations.name,operations.id', `{ operations { edges { node { name id } } totalCount ${PAGE} } }`],
  ])('of %s: %s', (field, fields, selection) => expect(printShape(chosenShape(typeOf(field), fields))).toBe(selection));

  it.each([
    ['vm', 'nope', '"nope" can\'t be chosen: there is no field "nope".'],
    ['vm', 'host.nope', '"host.nope" can\'t be chosen: there is no field "nope".'],
    ['vm', 'name.length', '"name.length" can\'t be chosen: "name" has no fields.'],
    ['vm', 'history.cpu', '"history.cpu" can\'t be chosen: "history" needs arguments; ask the graph for it.'],
    ['vm', '', '"" can\'t be chosen: there is no field "".'],
    ['vm', `${'usage.inner.'.repeat(2_000)}cpu`, '"usage.inner.usage.inner.usage.inner" can\'t be chosen: a path has at most 6 names.'],
    ['vm', 'constructor', '"constructor" can\'t be chosen: there is no field "constructor".'],
    ['count', 'x', '"x" can\'t be chosen: there is nothing to choose from.'],
  ])('of %s, "%s" is refused', (field, fields, message) =>
    expect(() => chosenShape(typeOf(field), fields)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'fields', message })),
  );
});

it('an answer has items instead of edges, at every depth', () => {
  const pageInfo = { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null };
  const inner = { edges: [{ node: { name: 'b' } }], totalCount: 1, pageInfo };
  const answer = { edges: [{ node: { name: 'a', operations: inner } }], totalCount: 7, pageInfo };
  expect(present(answer, chosenShape(typeOf('vms'), 'name,operations.name'))).toEqual({
    items: [{ name: 'a', operations: { items: [{ name: 'b' }], totalCount: 1, pageInfo } }],
    totalCount: 7,
    pageInfo,
  });
  expect(present({ vm: null, note: 'x' }, defaultShape(typeOf('payload')))).toEqual({ vm: null, note: 'x' });
});
