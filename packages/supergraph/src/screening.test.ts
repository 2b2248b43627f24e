import { composeServices } from '@apollo/composition';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { execute, GraphQLError, parse, type FormattedExecutionResult } from 'graphql';
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Principal } from './authorization/principal.ts';
import type { SubgraphSource } from './data-source.ts';
import { createExecutor } from './executor.ts';
import type { Protection } from './screening.ts';
import { loadSupergraph } from './supergraph.ts';

const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@authenticated", "@requiresScopes", { name: "@policy", as: "@guard" }, "@cost", "@listSize"])';
const SDL = {
  vms: `${LINK}
    type Query {
      open: String
      vm: Vm
      vms(first: Int): [Vm!] @listSize(slicingArguments: ["first"])
      nodes: [Node!] @authenticated
      found: [Found!]
      named(names: [String!]): String
      audit: String @guard(policies: [["auditor"]])
    }
    type Mutation { open: String start: Vm! @requiresScopes(scopes: [["vm:start"]]) }
    interface Node { id: ID! name: String }
    type Vm implements Node @key(fields: "id") { id: ID! name: String console: String @requiresScopes(scopes: [["vm:console"], ["admin"]]) }
    type Secret implements Node @requiresScopes(scopes: [["secret:read"]]) { id: ID! name: String }
    union Found = Vm | Secret`,
  billing: `${LINK} type Vm @key(fields: "id") { id: ID! price: Int @authenticated plan: Plan! } type Plan @requiresScopes(scopes: [["billing:read"]]) { name: String }`,
};

const { supergraphSdl, errors } = composeServices(Object.entries(SDL).map(([name, sdl]) => ({ name, url: `http://${name}.example`, typeDefs: parse(sdl) })));
if (supergraphSdl === undefined) throw new Error(errors?.join('\n'));
const supergraph = loadSupergraph(supergraphSdl);

const vm = { __typename: 'Vm', id: '1', name: 'one', console: 'vnc', price: 5, plan: { name: 'gold' } };
const secret = { __typename: 'Secret', id: 's', name: 'hidden' };
const root = { open: 'o', vm, vms: [vm], nodes: [vm, secret], found: [vm, secret], audit: 'log', start: vm };

/** What subgraphs were asked, as "name query". */
let asked: string[];
beforeEach(() => void (asked = []));

function source(name: keyof typeof SDL): SubgraphSource<Principal> {
  const schema = buildSubgraphSchema({ typeDefs: parse(SDL[name]), resolvers: { Vm: { __resolveReference: () => vm } } });
  return {
    name,
    async process({ query, variables }) {
      asked.push(`${name} ${query.replace(/\s+/g, ' ')}`);
      return (await execute({ schema, document: parse(query), rootValue: root, variableValues: variables ?? {} })) as FormattedExecutionResult;
    },
  };
}

const sources = { vms: source('vms'), billing: source('billing') };
const stranger: Principal = { authenticated: false, scopes: new Set() };
const signedIn = (...scopes: string[]): Principal => ({ authenticated: true, scopes: new Set(scopes) });

async function ask(query: string, principal: Principal, protection: Protection<Principal> = {}, variables = {}) {
  const executor = createExecutor<Principal>({
    supergraph,
    dataSources: sources,
    presentation: {
      error: (thrown) => (thrown instanceof GraphQLError ? thrown.toJSON() : { message: String(thrown) }),
      result: ({ data, errors: faults }) => ({ ...(data === undefined ? {} : { data }), ...(faults ? { errors: faults } : {}) }),
      inRequest: (_context, run) => run(),
    },
    protection: { principalOf: (context) => context, ...protection },
    logger: pino({ level: 'silent' }),
  });
  const { data, errors: faults = [] } = await executor.prepare(query, null, principal).run(variables, principal);
  return { data: data === undefined ? undefined : (JSON.parse(JSON.stringify(data)) as unknown), errors: faults.map(({ path = [], extensions }) => `${String(extensions?.['code'])} ${path.join('.')}`), messages: faults.map(({ message }) => message) };
}

const NEVER = /(?!)/;

describe('what a principal may not ask for is asked of no subgraph', () => {
  it.each([
    ['a field of another subgraph', '{ vm { id price } }', stranger, { vm: { id: '1', price: null } }, ['UNAUTHENTICATED vm.price'], ['vms'], /price/],
    ['the same, to who may', '{ vm { id price } }', signedIn(), { vm: { id: '1', price: 5 } }, [], ['vms', 'billing'], NEVER],
    ['one scope of two', '{ vm { console } }', signedIn('admin'), { vm: { console: 'vnc' } }, [], ['vms'], NEVER],
    ['a type in a field that is never null', '{ open vm { id plan { name } } }', signedIn(), { open: 'o', vm: null }, ['FORBIDDEN vm.plan'], ['vms'], /plan/],
    ['a policy, under the name that it was given', '{ open audit }', signedIn(), { open: 'o', audit: null }, ['FORBIDDEN audit'], ['vms'], /audit/],
    ['everything', '{ audit }', stranger, { audit: null }, ['UNAUTHENTICATED audit'], [], /audit/],
    ['a mutation, nor the one before it', 'mutation { open start { id } }', signedIn(), null, ['FORBIDDEN start'], [], /start/],
    ['a member of a union', '{ found { ... on Vm { id } ... on Secret { id } } }', signedIn(), { found: null }, ['FORBIDDEN found.1.id'], ['vms'], /Secret/],
    ['an interface that one of its types protects', '{ nodes { name } }', signedIn(), { nodes: null }, ['FORBIDDEN nodes'], [], /nodes/],
    ['the same, to who may read that type', '{ nodes { name } }', signedIn('secret:read'), { nodes: [{ name: 'one' }, { name: 'hidden' }] }, [], ['vms'], NEVER],
  ])('%s', async (_what, query, principal, data, faults, names, unasked) => {
    expect(await ask(query, principal)).toMatchObject({ data, errors: faults });
    expect(asked.map((each) => each.split(' ')[0])).toEqual(names);
    expect(asked.map((each) => each.replace(/\w+ /, '')).join(' ')).not.toMatch(unasked);
  });
});

describe('an operation is refused as a whole', () => {
  it('that is too dear, before it is planned', async () => {
    expect(await ask('{ vms(first: 30) { id } }', signedIn(), { maximumCost: 30 })).toMatchObject({ data: { vms: [{ id: '1' }] } });
    asked = [];
    expect(await ask('{ vms(first: 31) { id } }', signedIn(), { maximumCost: 30 })).toEqual({ data: undefined, errors: ['BAD_USER_INPUT '], messages: ['The operation is estimated to cost 31 points, and 30 is the maximum: ask for less at once.'] });
    expect((await ask('{ vms(first: 5001) { id } }', signedIn())).errors).toEqual(['BAD_USER_INPUT ']);
    expect((await ask('{ vms(first: 5001) { id } }', signedIn(), { maximumCost: 0 })).errors).toEqual([]);
    expect(asked).toHaveLength(1);
  });

  it('that does not say how long a list is that must be told', async () => {
    expect((await ask('{ vms { id } }', signedIn())).messages).toEqual(['Say how long "vms" may be by one of: first.']);
  });

  it.each(['{ __schema { types { name } } }', '{ __type(name: "Vm") { name } }', '{ ...F } fragment F on Query { ... { s: __schema { types { name } } } }'])('that reads the schema, by who may not: %s', async (query) => {
    const protection = { mayIntrospect: ({ authenticated }: Principal) => authenticated };
    expect((await ask(query, stranger, protection)).errors).toEqual(['UNAUTHENTICATED ']);
    expect((await ask(query, signedIn(), protection)).errors).toEqual([]);
    expect((await ask(query, signedIn(), { mayIntrospect: () => false })).errors).toEqual(['FORBIDDEN ']);
    expect((await ask('{ __typename }', stranger, protection)).data).toEqual({ __typename: 'Query' });
  });

  it('with suggestions only to who has signed in', async () => {
    const suggestion = /Did you mean/;
    await expect(ask('{ opem }', stranger)).rejects.toMatchObject({ errors: [{ message: 'Cannot query field "opem" on type "Query".' }] });
    await expect(ask('{ opem }', signedIn())).rejects.toMatchObject({ errors: [{ message: expect.stringMatching(suggestion) }] });
    await expect(ask('{ vms(frist: 1) { id } }', stranger)).rejects.toMatchObject({ errors: [{ message: expect.not.stringMatching(suggestion) }] });
  });

  it('with no suggestion, however often a literal says the words of one', async () => {
    const begun = performance.now();
    await expect(ask(`{ vms(first: "${' Did you mean '.repeat(17_000)}") { id } }`, stranger)).rejects.toMatchObject({ errors: [{ message: expect.stringContaining('Int cannot represent') }] });
    expect(performance.now() - begun).toBeLessThan(500);
  });

  it('with a few of the errors in its variables, however many there are', async () => {
    const names = Array.from({ length: 80_000 }, () => ({}));
    const { errors: faults, messages } = await ask('query ($names: [String!]) { named(names: $names) }', signedIn(), {}, { names });
    expect(faults).toHaveLength(20);
    expect(messages[0]).toMatch(/^Variable "\$names" got invalid value/);
  });

  it('with variables that would overflow a stack', async () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as unknown;
    expect((await ask('query ($first: Int) { vms(first: $first) { id } }', signedIn(), {}, { first: deep })).messages).toEqual(['The variables are more than 100 brackets deep (limit "nesting").']);
  });
});
