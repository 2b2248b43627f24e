import { buildSchema, executeSync, getOperationAST, GraphQLError, parse, print, validate, type DocumentNode, type OperationDefinitionNode } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createAuthorization, type RawAnswer } from './authorization.ts';
import type { Principal } from './principal.ts';

const sdl = `
  schema
    @link(url: "https://specs.apollo.dev/authenticated/v0.1", for: SECURITY)
    @link(url: "https://specs.apollo.dev/requiresScopes/v0.1", for: SECURITY)
    @link(url: "https://specs.apollo.dev/policy/v0.1", for: SECURITY, import: [{ name: "@policy", as: "@guard" }])
  { query: Query mutation: Mutation subscription: Subscription }
  directive @link(url: String, for: Purpose, import: [Import]) repeatable on SCHEMA
  directive @authenticated on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
  directive @requiresScopes(scopes: [[String!]!]!) on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
  directive @guard(policies: [[String!]!]!) on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
  enum Purpose { SECURITY EXECUTION }
  scalar Import
  type Query {
    open: String
    me: User @authenticated
    mine: User! @authenticated
    vms: [Vm!]
    vm(id: ID): Vm
    secrets: [Secret]
    node: Node
    nodes: [Node!]!
    found: [Found]
    stamp: Stamp
    level: Level
    fleet: Fleet
  }
  type Mutation { open: String start: Vm @requiresScopes(scopes: [["vm:start"]]) stop: Vm! @requiresScopes(scopes: [["vm:stop"]]) }
  type Subscription { vmChanged: Vm hostChanged: Host @requiresScopes(scopes: [["host:read"]]) }
  interface Node { id: ID! name: String }
  type Vm implements Node {
    id: ID!
    name: String
    owner: User
    host: Host
    price: Int @requiresScopes(scopes: [["billing:read", "vm:read"], ["admin"]])
    console: String! @requiresScopes(scopes: [["vm:console"]])
    audit: String @guard(policies: [["auditor", "employee"], ["court"]])
    self: Vm!
  }
  type Host implements Node { id: ID! name: String @requiresScopes(scopes: [["host:read"]]) uri: String @requiresScopes(scopes: [["host:read"]]) }
  type User @authenticated { id: ID! email: String @requiresScopes(scopes: [["user:read"]]) }
  type Secret implements Node @requiresScopes(scopes: [["secret:read"]]) { id: ID! name: String }
  union Found = Vm | Secret
  scalar Stamp @authenticated
  enum Level @requiresScopes(scopes: [["level:read"]]) { LOW }
  type Fleet { hosts: [Host!]! total: Int }
`;
const schema = buildSchema(sdl);
const authorization = createAuthorization(parse(sdl), schema);

const user = { __typename: 'User', id: 'u', email: 'u@x' };
const host = { __typename: 'Host', id: 'h', name: 'host', uri: 'qemu:///system' };
const secret = { __typename: 'Secret', id: 's', name: 'secret' };
const vm: Record<string, unknown> = { __typename: 'Vm', id: 'v', name: 'vm', owner: user, host, price: 5, console: 'vnc', audit: 'log' };
vm['self'] = vm;
const world = { open: 'o', me: user, mine: user, vms: [vm, vm], vm, secrets: [secret], node: vm, nodes: [vm, host, secret], found: [vm, secret], stamp: 's', level: 'LOW', fleet: { hosts: [host], total: 1 }, start: vm, stop: vm, vmChanged: vm, hostChanged: host };

const stranger: Principal = { authenticated: false, scopes: new Set() };
const signedIn = (...scopes: string[]): Principal => ({ authenticated: true, scopes: new Set(scopes) });

const operationOf = (document: DocumentNode, name: string | null = null) => getOperationAST(document, name) as OperationDefinitionNode; // there is one in each

/** Runs what is permitted as subgraphs would, which know no directives. */
function ask(query: string, principal: Principal, variables = {}) {
  const document = parse(query);
  expect(validate(schema, document)).toEqual([]);
  const operation = operationOf(document);
  const permitted = authorization.authorize(document, operation, principal);
  const ran = permitted.document === null ? null : print(permitted.document).replace(/\s+/g, ' ');
  const faults = permitted.document === null ? [] : validate(schema, permitted.document).map(({ message }) => message);
  expect(faults.filter((message) => !message.includes('never used'))).toEqual([]); // the planner minds no variable that is left over
  const answer = permitted.document === null ? {} : executeSync({ schema, document: permitted.document, rootValue: world, variableValues: variables });
  const { data, errors = [] } = permitted.complete(answer as RawAnswer, variables);
  return { ran, data: data === undefined ? undefined : (JSON.parse(JSON.stringify(data)) as unknown), errors: errors.map(({ path, extensions: { code } }) => `${String(code)} ${(path ?? []).join('.')}`), messages: errors.map(({ message }) => message) };
}

describe('what was refused is null, and the rest is there', () => {
  it.each([
    ['a field that needs a viewer', '{ open me { id } }', stranger, '{ open }', { open: 'o', me: null }, ['UNAUTHENTICATED me']],
    ['all that was asked for', '{ me { id } }', stranger, null, { me: null }, ['UNAUTHENTICATED me']],
    ['a field without a scope', '{ vm { id price } }', signedIn(), '{ vm { id } }', { vm: { id: 'v', price: null } }, ['FORBIDDEN vm.price']],
    ['a field with half of the scopes', '{ vm { id price } }', signedIn('vm:read'), '{ vm { id } }', { vm: { id: 'v', price: null } }, ['FORBIDDEN vm.price']],
    ['a scope, to a stranger', '{ vm { id price } }', { ...stranger, scopes: new Set(['x']) }, '{ vm { id } }', { vm: { id: 'v', price: null } }, ['UNAUTHENTICATED vm.price']],
    ['a field in each item', '{ vms { price id } }', signedIn(), '{ vms { id } }', { vms: [{ price: null, id: 'v' }, { price: null, id: 'v' }] }, ['FORBIDDEN vms.0.price', 'FORBIDDEN vms.1.price']],
    ['a field that is never null, with what holds it', '{ open vms { id console } }', signedIn(), '{ open vms { id } }', { open: 'o', vms: null }, ['FORBIDDEN vms.0.console']],
    ['the nearest that may be null', '{ vm { id host { id } self { self { console } } } }', signedIn(), '{ vm { id host { id } self { self { __restrictedType: __typename } } } }', { vm: null }, ['FORBIDDEN vm.self.self.console']],
    ['the whole data', '{ open mine { id } }', stranger, null, null, ['UNAUTHENTICATED mine']],
    ['the whole data, by its name in the answer', '{ open a: mine { id } ... { b: mine { id } } ...F } fragment F on Query { c: mine { id } }', stranger, null, null, ['UNAUTHENTICATED a', 'UNAUTHENTICATED b', 'UNAUTHENTICATED c']],
    ['a field under another name', '{ vm { id: name cost: price } }', signedIn(), '{ vm { id: name } }', { vm: { id: 'vm', cost: null } }, ['FORBIDDEN vm.cost']],
    ['all of an object', '{ vm { price } }', signedIn(), '{ vm { __restrictedType: __typename } }', { vm: { price: null } }, ['FORBIDDEN vm.price']],
    ['what returns a type that needs a viewer', '{ vm { owner { id } name } }', stranger, '{ vm { name } }', { vm: { owner: null, name: 'vm' } }, ['UNAUTHENTICATED vm.owner']],
    ['what returns a list of a type', '{ open secrets { id } }', signedIn(), '{ open }', { open: 'o', secrets: null }, ['FORBIDDEN secrets']],
    ['what returns a scalar', '{ open stamp }', stranger, '{ open }', { open: 'o', stamp: null }, ['UNAUTHENTICATED stamp']],
    ['what returns an enum', '{ open level }', signedIn(), '{ open }', { open: 'o', level: null }, ['FORBIDDEN level']],
    ['a list that is never null', '{ fleet { total hosts { uri } } }', signedIn(), '{ fleet { total hosts { __restrictedType: __typename } } }', { fleet: { total: 1, hosts: [{ uri: null }] } }, ['FORBIDDEN fleet.hosts.0.uri']],
    ['what stands in fragments', '{ vm { ...A ... { price } } } fragment A on Vm { name ...B } fragment B on Vm { price console }', signedIn(), '{ vm { ...A } } fragment A on Vm { name }', { vm: null }, ['FORBIDDEN vm.price', 'FORBIDDEN vm.console']],
    ['a fragment of which nothing is left', '{ vm { id ...A } } fragment A on Vm { ...B } fragment B on Vm { price }', signedIn(), '{ vm { id } }', { vm: { id: 'v', price: null } }, ['FORBIDDEN vm.price']],
    ['a mutation, but not the one beside it', 'mutation { open start { id } }', signedIn(), 'mutation { open }', { open: 'o', start: null }, ['FORBIDDEN start']],
    ['a mutation of which nothing would come, before half of it is done', 'mutation { open stop { id } }', signedIn(), null, null, ['FORBIDDEN stop']],
    ['a subscription', 'subscription { hostChanged { id } }', signedIn(), null, { hostChanged: null }, ['FORBIDDEN hostChanged']],
    ['a field of an event', 'subscription { vmChanged { id price } }', signedIn(), 'subscription { vmChanged { id } }', { vmChanged: { id: 'v', price: null } }, ['FORBIDDEN vmChanged.price']],
  ])('%s', (_what, query, principal, ran, data, errors) => {
    expect(ask(query, principal)).toMatchObject({ ran, data, errors });
  });
});

describe('behind interfaces and unions', () => {
  it.each([
    ['a field that is refused of one type', '{ node { id name } }', signedIn(), '{ node { __restrictedType: __typename } }', { node: null }, ['FORBIDDEN node.id']],
    ['the same, in fragments on the others', '{ nodes { ... on Vm { id name } ... on Host { id } __typename } }', signedIn(), '{ nodes { ... on Vm { id name } ... on Host { id } __typename } }', { nodes: [{ id: 'v', name: 'vm', __typename: 'Vm' }, { id: 'h', __typename: 'Host' }, { __typename: 'Secret' }] }, []],
    ['a fragment on a type that is refused', '{ found { ... on Vm { id } ... on Secret { name } } }', signedIn(), '{ found { __restrictedType: __typename ... on Vm { id } } }', { found: [{ id: 'v' }, { name: null }] }, ['FORBIDDEN found.1.name']],
    ['a fragment on the interface, of a union', '{ found { ... on Node { name } ... on Vm { id } } }', signedIn(), '{ found { __restrictedType: __typename ... on Vm { id } } }', { found: [{ name: null, id: 'v' }, { name: null }] }, ['FORBIDDEN found.0.name', 'FORBIDDEN found.1.name']],
    ['what only says of which type it is', '{ node { __typename } }', stranger, '{ node { __typename } }', { node: { __typename: 'Vm' } }, []],
    ['what may be read of every type', '{ node { id name } }', signedIn('secret:read', 'host:read'), '{ node { id name } }', { node: { id: 'v', name: 'vm' } }, []],
    ['what is refused of the interface and read of a type', '{ node { name ... on Vm { name id } } }', signedIn(), '{ node { __restrictedType: __typename ... on Vm { name id } } }', { node: { name: 'vm', id: 'v' } }, []],
  ])('%s', (_what, query, principal, ran, data, errors) => {
    expect(ask(query, principal)).toMatchObject({ ran, data, errors });
  });
});

describe('policies', () => {
  const holding = (...held: string[]): Principal & { asked: (readonly string[])[] } => {
    const asked: (readonly string[])[] = [];
    return { ...signedIn(), asked, policies: (names) => (asked.push(names), new Set(names.filter((name) => held.includes(name)))) };
  };

  it('are asked of the principal once, together', () => {
    const auditor = holding('auditor', 'employee');
    expect(ask('{ a: vm { audit } b: vm { audit } }', auditor)).toMatchObject({ data: { a: { audit: 'log' }, b: { audit: 'log' } }, errors: [] });
    expect(auditor.asked).toEqual([['auditor', 'employee', 'court']]);
  });

  it('are all needed of one list', () => {
    expect(ask('{ vm { audit } }', holding('employee'))).toMatchObject({ data: { vm: { audit: null } }, errors: ['FORBIDDEN vm.audit'] });
    expect(ask('{ vm { audit } }', holding('court'))).toMatchObject({ errors: [] });
  });

  it('are satisfied by nobody who has none, and not asked for where there are none', () => {
    expect(ask('{ vm { audit } }', signedIn())).toMatchObject({ errors: ['FORBIDDEN vm.audit'], messages: ['You are not allowed to ask for this.'] });
    const auditor = holding();
    ask('{ vm { id price } }', auditor);
    expect(auditor.asked).toEqual([]);
  });
});

it('lets through what nothing stands against, as it is', () => {
  const document = parse('query A { open vm { id } } query B { vm { price } }');
  const operation = operationOf(document, 'A');
  const permitted = authorization.authorize(document, operation, stranger);
  expect(permitted.document).toBe(document);
  expect(permitted.key).toBe('');
  const answer = { data: { open: 'o' } };
  expect(permitted.complete(answer, {})).toBe(answer);
});

it('says what is missing', () => {
  expect((ask('{ vm { price } }', signedIn())).messages).toEqual(['You need billing:read and vm:read, or admin for this.']);
  expect((ask('{ vm { price } }', { ...signedIn(), owes: 'Set up a second factor first.' })).messages).toEqual(['Set up a second factor first.']);
  expect((ask('{ vm { price } }', stranger)).messages).toEqual(['Sign in first: this field needs an access token.']);
  expect((ask('{ node { id } }', signedIn('host:read'))).messages).toEqual(['Ask for "id" in fragments on the types that you may read it of.']);
});

it('refuses nothing that is skipped', () => {
  const query = 'query ($with: Boolean!) { open mine @include(if: $with) { id } me @skip(if: true) { id } }';
  expect(ask(query, stranger, { with: false })).toMatchObject({ data: { open: 'o' }, errors: [] });
  expect(ask(query, stranger, { with: true })).toMatchObject({ data: null, errors: ['UNAUTHENTICATED mine'] });
});

it('keeps the errors of subgraphs, and adds nothing where there is no data', () => {
  const document = parse('{ vm { name price } }');
  const operation = operationOf(document);
  const permitted = authorization.authorize(document, operation, signedIn());
  const failed = new GraphQLError('away', { path: ['vm', 'name'] });
  const { data, errors } = permitted.complete({ data: { vm: { name: null } }, errors: [failed] }, {});
  expect(data).toEqual({ vm: { name: null, price: null } });
  expect(errors?.map(({ message }) => message)).toEqual(['away', 'You need billing:read and vm:read, or admin for this.']);
  expect(permitted.complete({ data: null, errors: [failed] }, {})).toEqual({ data: null, errors: [failed] });
});

it('makes the same restriction once', () => {
  const document = parse('{ vm { name price } }');
  const operation = operationOf(document);
  const [one, other, strangers] = [signedIn(), signedIn('host:read'), stranger].map((principal) => authorization.authorize(document, operation, principal));
  expect(other).toBe(one);
  expect(strangers?.key).not.toBe(one?.key);
});

it('is not slow where everything is refused many times', () => {
  const fields = Array.from({ length: 200 }, (_, index) => `a${index}: vm { price ...F }`).join(' ');
  const begun = performance.now();
  ask(`{ ${fields} } fragment F on Vm { self { self { console } } }`, signedIn());
  expect(performance.now() - begun).toBeLessThan(2_000);
});
