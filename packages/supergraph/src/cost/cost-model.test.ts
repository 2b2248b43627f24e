import { buildSchema, getOperationAST, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createCostModel } from './cost-model.ts';

const LINK = 'schema @link(url: "https://specs.apollo.dev/link/v1.0") @link(url: "https://specs.apollo.dev/cost/v0.1", import: ["@listSize"]) { query: Query mutation: Mutation }';
const DIRECTIVES = `
  scalar Import
  directive @link(url: String, as: String, import: [Import]) repeatable on SCHEMA
  directive @cost(weight: Int!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR
  directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION
`;
const TYPES = `
  type Query {
    me: User
    vm(id: ID): Vm
    count: Int
    vms(first: Int, last: Int, filter: Filter): Page @listSize(assumedSize: 50, slicingArguments: ["first", "last"], sizedFields: ["edges"], requireOneSlicingArgument: false)
    hosts(first: Int): [Host] @listSize(slicingArguments: ["first"])
    pools(first: Int = 3): [Host!]! @listSize(slicingArguments: ["first"])
    tenants: [User] @listSize(assumedSize: 4)
    tags: [String]
    scored(by: [Filter!]): Int @cost(weight: 20)
    searched(text: String @cost(weight: 7)): Int
    key: Key
    level: Level
    found: [Found]
    node: Node
  }
  type Mutation { start(input: Start): Vm import(id: ID): Vm @cost(weight: 30) }
  input Filter { text: String @cost(weight: 2) inner: Filter }
  input Start { id: ID }
  interface Node { id: ID }
  type Page @cost(weight: 1) { edges: [Edge] total: Int @cost(weight: 3) }
  type Edge @cost(weight: 0) { node: Vm }
  type Vm implements Node { id: ID host: Host volumes: [Host] @listSize(assumedSize: 2) }
  type Host implements Node { id: ID vms(first: Int): Page @listSize(slicingArguments: ["first"], sizedFields: ["edges"]) }
  type User @cost(weight: 2) { id: ID name: String }
  scalar Key @cost(weight: 5)
  enum Level @cost(weight: 6) { LOW }
  union Found = Vm | User
`;
const sdl = `${LINK} ${DIRECTIVES} ${TYPES}`;
const schema = buildSchema(sdl);
const model = createCostModel(parse(sdl), schema);

function read(query: string) {
  const document = parse(query);
  const operation = getOperationAST(document, null);
  if (operation === null || operation === undefined) throw new Error('no operation');
  return [document, operation] as const;
}
const estimate = (query: string, variables = {}) => model.estimate(...read(query), variables);
const actual = (query: string, data: Record<string, unknown> | null, variables = {}) => model.actual(...read(query), variables, data);

describe('an estimate', () => {
  it.each([
    ['an object', '{ vm(id: 1) { id } }', 1],
    ['no object at all', '{ count }', 1],
    ['introspection', '{ __schema { types { name } } __typename }', 1],
    ['a type that is dearer', '{ me { id } }', 2],
    ['a field that is dearer', '{ scored }', 20],
    ['a scalar that is dearer', '{ key }', 5],
    ['an enum that is dearer', '{ level }', 6],
    ['an argument that is dearer', '{ searched(text: "x") }', 7],
    ['an argument that is not given', '{ searched }', 1],
    ['an input object, and one in it', '{ vms(first: 0, filter: { text: "x", inner: { text: "y" } }) { total } }', 1 + 3 + 1 + 2 + 1 + 2],
    ['a list of input objects', '{ scored(by: [{ text: "x" }, { text: "y" }]) }', 20 + 2 * (1 + 2)],
    ['a page', '{ vms(first: 50) { edges { node { id } } } }', 1 + 50],
    ['a page from the end', '{ vms(last: 20) { edges { node { id } } } }', 1 + 20],
    ['a page of assumed size', '{ vms { edges { node { id } } } }', 1 + 50],
    ['a page of a negative size', '{ vms(first: -5) { edges { node { id } } } }', 1],
    ['lists in a list', '{ vms(first: 50) { edges { node { host { id } volumes { id } } } } }', 1 + 50 * (1 + 1 + 2)],
    ['a list by its argument', '{ hosts(first: 7) { id } }', 7],
    ["a list by its argument's default", '{ pools { id } }', 3],
    ['a list of assumed size', '{ tenants { name } }', 4 * 2],
    ['a list of which nothing is said', '{ found { __typename ... on Vm { id } } }', 10],
    ['a list of leaves', '{ tags }', 1],
    ['pages in pages', '{ hosts(first: 10) { vms(first: 10) { edges { node { id } } } } }', 10 * (1 + 1 + 10)],
    ['the same twice', '{ vm { id } vm { host { id } } ... { vm { id } } }', 2],
    ['an alias', '{ a: vm { id } b: vm { id } c: vm { id } }', 3],
    ['a leaf by several names', '{ vms(first: 50) { edges { node { id a: id b: id __typename c: __typename } } } }', 1 + 50 * (1 + 3)],
    ['leaves of one name and several types', '{ found { ... on Vm { x: id } ... on User { x: id } } }', 10],
    ['a fragment, wherever it is spread', '{ a: vm { ...F } b: vm { ...F } } fragment F on Vm { host { id } }', 4],
    ['fields of one name of several types', '{ found { ... on Vm { x: id } ... on User { x: id y: name } } }', 10],
    ['a sized field in a fragment', '{ vms(first: 3) { ...F } } fragment F on Page { ... { edges { node { id } } } }', 1 + 3],
    ['a mutation', 'mutation { start { id } }', 10 + 1],
    ['a mutation with input', 'mutation { start(input: { id: 1 }) { id } }', 10 + 1 + 1],
    ['a mutation that is dearer', 'mutation { import(id: 1) { id } }', 10 + 30],
    ['what is skipped', '{ me @skip(if: true) { id } vm @include(if: false) { id } ... @skip(if: true) { key } }', 1],
  ])('of %s', (_what, query, expected) => {
    expect(estimate(query)).toBe(expected);
  });

  it('knows the variables, and their defaults', () => {
    const page = 'query ($first: Int = 5, $more: Boolean = false) { vms(first: $first) { edges { node { id host @include(if: $more) { id } } } } }';
    expect(estimate(page)).toBe(1 + 5);
    expect(estimate(page, { first: 20, more: true })).toBe(1 + 20 * 2);
    expect(estimate(page, { first: null })).toBe(1 + 50);
    expect(estimate('query ($filter: Filter) { vms(first: 1, filter: $filter) { total } }', { filter: { text: 'x', unknown: {} } })).toBe(1 + 3 + 1 + 2);
  });

  it('takes a variable for what was sent under its name, and for nothing else', () => {
    const query = 'query ($first: Int) { vms(first: $first) { edges { node { id } } } }';
    const sent = JSON.parse('{ "__proto__": { "first": 0 } }') as object;
    expect(estimate(query, sent)).toBe(estimate(query));
    expect(estimate(query, sent)).toBeGreaterThan(50);
  });

  it('refuses a list that must be told its length', () => {
    expect(() => estimate('{ hosts { id } }')).toThrow('Say how long "hosts" may be by one of: first.');
    expect(() => estimate('{ vm { host { vms { total } } } }')).toThrow('Say how long "vms" may be');
  });

  it('is not infinite, and soon there, for what is asked for in heaps', () => {
    const begun = performance.now();
    const deep = Array.from({ length: 12 }, () => 'vms(first: 500) { edges { node { host {').join(' ');
    expect(estimate(`{ vm { host { ${deep} id ${'} } } }'.repeat(12)} } } }`)).toBeGreaterThan(1e30);
    expect(estimate(`{ ${Array.from({ length: 2_000 }, (_, index) => `a${index}: vms { edges { node { id } } }`).join(' ')} }`)).toBe(2_000 * 51);
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});

describe('the actual cost', () => {
  it.each([
    ['a page that is not full', '{ vms(first: 50) { edges { node { id } } } }', { vms: { edges: [{ node: { id: 1 } }, { node: { id: 2 } }] } }, 1 + 2],
    ['nothing', '{ vm { host { id } } }', { vm: null }, 1],
    ['a leaf by several names', '{ vms { edges { node { id a: id b: id } } } }', { vms: { edges: [{ node: { id: 1, a: 1, b: 1 } }, { node: { id: 2, a: 2, b: 2 } }] } }, 1 + 2 * 3],
    ['no data', '{ scored }', null, 1],
    ['an object without another', '{ vm { host { id } } }', { vm: { host: null } }, 1],
    ['lists in a list', '{ hosts(first: 2) { id } vms { edges { node { volumes { id } } } } }', { hosts: [{ id: 1 }], vms: { edges: [{ node: { volumes: [{ id: 1 }, { id: 2 }, { id: 3 }] } }] } }, 1 + 1 + 1 + 3],
    ['a list with holes', '{ tenants { id } }', { tenants: [null, { id: 1 }] }, 2],
    ['what was asked for twice', '{ vm { id } vm { host { id } } }', { vm: { id: 1, host: { id: 2 } } }, 2],
    ['types that say so', '{ found { __typename ... on Vm { host { id } } ... on User { id } } }', { found: [{ __typename: 'User', id: 1 }, { __typename: 'Vm', host: { id: 1 } }] }, 1 + 2],
    ['types that do not', '{ found { ... on Vm { host { id } } ... on User { id } } }', { found: [{ id: 1 }, { host: { id: 1 } }] }, 1 + 2],
    ['an interface with a fragment', '{ node { id ... on Vm { id host { id } } } }', { node: { id: 1, host: { id: 1 } } }, 2],
    ['a mutation', 'mutation { start(input: { id: 1 }) { id } }', { start: { id: 1 } }, 12],
    ['a mutation that failed', 'mutation { start { id } }', { start: null }, 10],
    ['what was skipped', '{ me @skip(if: true) { id } vm { id } }', { vm: { id: 1 } }, 1],
  ])('of %s', (_what, query, data, expected) => {
    expect(actual(query, data)).toBe(expected);
  });
});

it('reads nothing from a supergraph that does not link to the specification', () => {
  const unlinked = createCostModel(parse(`${DIRECTIVES} ${TYPES}`), schema, { listSize: 2 });
  expect(unlinked.estimate(...read('{ me { id } tenants { id } }'), {})).toBe(1 + 2);
});

it('reads directives under the names that they were given', () => {
  const renamed = parse('schema @link(url: "https://specs.apollo.dev/cost/v0.1", as: "price", import: [{ name: "@cost", as: "@points" }]) { query: Query } type Query { me: User @points(weight: 9) tenants: [User] @price__listSize(assumedSize: 5) }');
  expect(createCostModel(renamed, schema).estimate(...read('{ me { id } tenants { id } }'), {})).toBe(9 + 5);
});
