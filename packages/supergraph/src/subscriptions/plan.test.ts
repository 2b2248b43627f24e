import { composeServices } from '@apollo/composition';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { execute, GraphQLError, parse, type FormattedExecutionResult } from 'graphql';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import type { Principal } from '../authorization/principal.ts';
import { loadSupergraph } from '../supergraph.ts';
import { createSubscriptionPlanner } from './plan.ts';

const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@authenticated", "@requiresScopes"])';
const SDL = {
  events: `${LINK} type Subscription { vmChanged: Vm @authenticated hostChanged: String @requiresScopes(scopes: [["host:read"]]) } type Vm @key(fields: "id", resolvable: false) { id: ID! }`,
  vms: `${LINK} type Query { vm: Vm } type Vm @key(fields: "id") { id: ID! name: String console: String @requiresScopes(scopes: [["vm:console"]]) }`,
};
const { supergraphSdl = '' } = composeServices(Object.entries(SDL).map(([name, sdl]) => ({ name, url: '', typeDefs: parse(sdl) })));
const schema = buildSubgraphSchema({ typeDefs: parse(SDL.vms), resolvers: { Vm: { __resolveReference: ({ id }: { id: string }) => ({ id, name: 'one', console: 'vnc' }) } } });
const asked: string[] = [];

const planner = createSubscriptionPlanner<Principal>({
  supergraph: loadSupergraph(supergraphSdl),
  dataSources: {
    vms: {
      name: 'vms',
      async process({ query, variables }) {
        asked.push(query);
        return (await execute({ schema, document: parse(query), variableValues: variables ?? {} })) as FormattedExecutionResult;
      },
    },
  },
  events: { name: 'events', schema: buildSubgraphSchema(parse(SDL.events)) },
  presentation: {
    error: (thrown) => (thrown instanceof GraphQLError ? thrown.toJSON() : { message: String(thrown) }),
    result: ({ data, errors }) => ({ ...(data === undefined ? {} : { data }), ...(errors ? { errors } : {}) }),
    inRequest: (_context, run) => run(),
  },
  protection: { principalOf: (context) => context, maximumCost: 100 },
  logger: pino({ level: 'silent' }),
});

const stranger: Principal = { authenticated: false, scopes: new Set() };
const signedIn = (...scopes: string[]): Principal => ({ authenticated: true, scopes: new Set(scopes) });

function subscribe(query: string, principal: Principal) {
  const planned = planner.plan(query, null, {}, principal);
  if ('document' in planned) throw new Error('no subscription');
  return planned.subscription;
}

const QUERY = 'subscription { vmChanged { id name console } }';

it('fills in of an event what its subscriber may ask for, and asks for no more', async () => {
  const some = await subscribe(QUERY, signedIn()).run({ id: '1' }, {}, signedIn());
  expect(JSON.parse(JSON.stringify(some))).toMatchObject({ data: { vmChanged: { id: '1', name: 'one', console: null } }, errors: [{ path: ['vmChanged', 'console'], extensions: { code: 'FORBIDDEN' } }] });
  expect(asked.join()).not.toContain('console');
  const all = await subscribe(QUERY, signedIn('vm:console')).run({ id: '1' }, {}, signedIn('vm:console'));
  expect(JSON.parse(JSON.stringify(all))).toEqual({ data: { vmChanged: { id: '1', name: 'one', console: 'vnc' } } });
});

it('is one plan for those who may ask for the same, and another for others', () => {
  expect(subscribe(QUERY, signedIn('host:read'))).toBe(subscribe(QUERY, signedIn()));
  expect(subscribe(QUERY, signedIn('vm:console')).key).not.toBe(subscribe(QUERY, signedIn()).key);
});

it.each([
  ['a stranger', QUERY, stranger, 'UNAUTHENTICATED'],
  ['who lacks the scope', 'subscription { hostChanged }', signedIn(), 'FORBIDDEN'],
  ['who asks for too much', `subscription { vmChanged { ${Array.from({ length: 2_100 }, (_, index) => `n${index}: name`).join(' ')} } }`, signedIn(), 'GRAPHQL_VALIDATION_FAILED'],
])('refuses %s before anything is planned', (_what, query, principal, code) => {
  expect(() => subscribe(query, principal)).toThrow(expect.objectContaining({ errors: [expect.objectContaining({ extensions: expect.objectContaining({ code }) })] }));
});

it('keeps no more of what strangers send than fits, however large each document is', () => {
  const documentOf = (text: string) => {
    const planned = planner.plan(`{ vm { id } } # ${text}`, null, {}, stranger);
    return 'document' in planned ? planned.document : null;
  };
  const first = documentOf('');
  for (let index = 0; index < 20; index += 1) documentOf(`${index}`.padEnd(1_000));
  expect(documentOf('')).toBe(first);
  for (let index = 0; index < 20; index += 1) documentOf(`${index}`.padEnd(60_000));
  expect(documentOf('')).not.toBe(first);
});
