import { composeServices } from '@apollo/composition';
import { GraphQLError, parse, type FormattedExecutionResult } from 'graphql';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createExecutor } from './executor.ts';
import { loadSupergraph } from './supergraph.ts';

const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@interfaceObject"])';
const SUBGRAPHS = {
  list: `${LINK}
    interface Device @key(fields: "id") { id: ID! }
    type Disk implements Device @key(fields: "id") { id: ID! }
    type Nic implements Device @key(fields: "id") { id: ID! }
    type Host { devices: [Device] }
    type Query { hosts: [Host] }`,
  nics: `${LINK} type Nic @key(fields: "id") { id: ID! mac: String }`,
  labels: `${LINK} type Device @key(fields: "id") @interfaceObject { id: ID! label: String }`,
};
const HOSTS = [
  { devices: [{ __typename: 'Disk', id: '1' }, null, { __typename: 'Nic', id: '5' }] },
  { devices: null },
  { devices: [{ __typename: 'Nic', id: '2' }, { __typename: 'Disk', id: '3' }, { __typename: 'Nic', id: '4' }] },
];

const { supergraphSdl = '' } = composeServices(Object.entries(SUBGRAPHS).map(([name, sdl]) => ({ name, typeDefs: parse(sdl) })));

/** The paths of errors, where the given subgraphs say that every entity is missing. */
async function paths(query: string, down: readonly string[]): Promise<unknown[]> {
  const answer = (name: string, count: number): FormattedExecutionResult => {
    if (name === 'list') return { data: { hosts: structuredClone(HOSTS) } };
    const missing = Array.from({ length: count }, (_, index) => ({ message: name, path: ['_entities', index] }));
    return { data: { _entities: missing.map(() => null) }, ...(down.includes(name) ? { errors: missing } : {}) };
  };
  const source = (name: string) => ({
    name,
    process: async ({ variables = {} }: { variables?: Record<string, unknown> | undefined }) => answer(name, (variables['representations'] as unknown[] | undefined)?.length ?? 0),
  });
  const executor = createExecutor<object>({
    supergraph: loadSupergraph(supergraphSdl),
    dataSources: Object.fromEntries(Object.keys(SUBGRAPHS).map((name) => [name, source(name)])),
    presentation: {
      error: (thrown) => (thrown instanceof GraphQLError ? thrown.toJSON() : { message: String(thrown) }),
      result: (result) => result,
      inRequest: (_context, run) => run(),
    },
    logger: pino({ level: 'silent' }),
  });
  const { errors = [] } = await executor.prepare(query, null, {}).run({}, {});
  return errors.map(({ path }) => path?.join('.'));
}

it('errors stand at the entities that were asked for, among others of other types', async () => {
  expect(await paths('{ hosts { devices { id ... on Nic { mac } } } }', ['nics'])).toEqual(['hosts.0.devices.2.mac', 'hosts.2.devices.0.mac', 'hosts.2.devices.2.mac']);
});

it('errors stand at entities that are asked for by the name of their interface', async () => {
  expect(await paths('{ hosts { devices { id ... on Nic { label } } } }', ['labels'])).toEqual(['hosts.0.devices.2.label', 'hosts.2.devices.0.label', 'hosts.2.devices.2.label']);
});

it('errors stand at every entity where all are asked for', async () => {
  expect(await paths('{ hosts { devices { label } } }', ['labels'])).toEqual(['hosts.0.devices.0.label', 'hosts.0.devices.2.label', 'hosts.2.devices.0.label', 'hosts.2.devices.1.label', 'hosts.2.devices.2.label']);
});
