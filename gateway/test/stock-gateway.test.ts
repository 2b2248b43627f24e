import { ApolloGateway } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import type { RequestContext, Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { toApolloDataSource } from '@novacron/supergraph';
import fc from 'fast-check';
import { buildClientSchema, getIntrospectionQuery, OperationTypeNode, type FormattedExecutionResult, type IntrospectionQuery } from 'graphql';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KnownIds } from '../../e2e/fuzz/known-ids.ts';
import { fuzzedOperations } from '../../e2e/fuzz/operations.ts';
import { startGateway, type Fixture } from './gateway-fixture.ts';

/** Whatever is asked, our gateway's data are those of Apollo Server with Apollo Gateway over the same subgraphs. */

let fixture: Fixture;
let stock: ApolloServer<RequestContext>;
let viewer: Viewer;
let token: string;

beforeAll(async () => {
  fixture = await startGateway();
  ({ token, viewer } = fixture.authority.signIn([['platform_admin', fixture.tenant]]));
  for (const name of ['web', 'db', 'cache']) fixture.world.addVm(fixture.tenant, { name, tags: [name, 'tagged'] });
  process.env['APOLLO_TELEMETRY_DISABLED'] = 'true';
  const { dataSources } = fixture.options;
  const gateway = new ApolloGateway({
    supergraphSdl: fixture.supergraphSdl.replaceAll(', for: SECURITY', ''), // which it refuses, and does not enforce
    buildService: ({ name }) => toApolloDataSource(dataSources[name] ?? { name, process: () => Promise.reject(new Error(`${name} can only stream`)) }),
  });
  stock = new ApolloServer<RequestContext>({ gateway, stopOnTerminationSignals: false });
  await stock.start();
});
afterAll(async () => {
  await stock?.stop();
  await fixture?.close();
});

async function askStock(query: string): Promise<FormattedExecutionResult> {
  const { body } = await stock.executeOperation({ query }, { contextValue: { viewer, requestId: newId(), address: null, userAgent: null } });
  if (body.kind !== 'single') throw new Error('An answer in parts.');
  return body.singleResult;
}

/** What is null where it is not a whole answer. */
const dataOf = (data: unknown): unknown => JSON.parse(JSON.stringify(data ?? null)); // without prototypes, which differ

it('answers as the stock gateway does', { timeout: 60_000 }, async () => {
  const { data } = await fixture.query(getIntrospectionQuery(), { token });
  const schema = buildClientSchema(data as unknown as IntrospectionQuery); // it was asked for just that
  const leaveOut = ['requestId']; // its answer is another each time
  const ids = new KnownIds(schema);
  for (const id of fixture.world.vms.keys()) ids.learn('Vm', id);
  const queries = fuzzedOperations({ schema, manner: 'tame', ids }, [OperationTypeNode.QUERY], leaveOut);
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(queries, async (generated) => {
      const query = ids.fill(generated.query);
      const [ours, theirs] = [await fixture.query(query, { token }), await askStock(query)];
      expect({ query, data: dataOf(ours.data), hasFailed: ours.errors.length > 0 }).toEqual({ query, data: dataOf(theirs.data), hasFailed: theirs.errors !== undefined });
      if (theirs.data != null) compared += 1;
    }),
    { seed: 20_261_120, numRuns: 200, endOnFailure: true },
  );
  expect(compared).toBeGreaterThan(50);
});
