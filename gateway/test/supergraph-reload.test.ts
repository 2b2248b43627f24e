import { readFile, writeFile } from 'node:fs/promises';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';

let fixture: Fixture;
/** Keeps identity from answering what it is asked next. */
let hold: PromiseWithResolvers<void> | null = null;

beforeAll(async () => {
  fixture = await startGateway({
    dataSources: (sources) => {
      const { identity } = sources;
      if (identity === undefined) throw new Error('the small graph has identity');
      const process: typeof identity.process = async (request) => {
        const held = hold;
        hold = null;
        await held?.promise;
        return identity.process(request);
      };
      return { ...sources, identity: { ...identity, process } };
    },
  });
});
afterAll(() => fixture.close());

const write = (sdl: string) => writeFile(fixture.options.supergraphFile, sdl);
const read = () => readFile(fixture.options.supergraphFile, 'utf8');
const statusOf = async (): Promise<{ ready: boolean; supergraph: { hash: string; isUpToDate: boolean } }> => (await fetch(`${fixture.gateway.url}/ready`)).json() as never; // what routeProbes sends
const codeOf = async (query: string) => (await fixture.query(query)).errors[0]?.extensions['code'];

it('a new supergraph is served, and what is under way goes on by the one before', async () => {
  const before = await read();
  const { supergraph } = await statusOf();
  const held = Promise.withResolvers<void>();
  hold = held;
  const underWay = fixture.query('{ requestId }');
  await eventually('identity to be asked', () => hold === null);

  await write(before.replaceAll(/\brequestId\b/g, 'requestName'));
  await eventually('the new graph', async () => (await codeOf('{ requestId }')) === 'GRAPHQL_VALIDATION_FAILED');
  expect((await statusOf()).supergraph.hash).not.toBe(supergraph.hash);
  held.resolve();
  expect(await underWay).toMatchObject({ status: 200, data: { requestId: expect.any(String) }, errors: [] });

  await write(before);
  await eventually('the graph of before', async () => (await codeOf('{ requestId }')) === undefined);
  expect((await statusOf()).supergraph.hash).toBe(supergraph.hash);
});

it.each([
  ['is half written', (sdl: string) => sdl.slice(0, sdl.length / 2)],
  ['has a subgraph that nobody answers', (sdl: string) => sdl.replaceAll('name: "identity"', 'name: "billing"')],
])('one that %s is refused, and the gateway goes on with the one before', async (_what, spoil) => {
  const before = await read();
  const { supergraph } = await statusOf();
  await write(spoil(before));
  await eventually('the refusal', async () => !(await statusOf()).supergraph.isUpToDate);
  expect(await statusOf()).toMatchObject({ ready: true, supergraph: { ...supergraph, isUpToDate: false } });
  expect(await fixture.metric('novacron_supergraph_last_reload_successful')).toBe(0);
  expect(await fixture.metric(`novacron_supergraph_info{hash="${supergraph.hash}"}`)).toBe(1);
  expect(await codeOf('{ requestId }')).toBeUndefined();
  expect(fixture.lines).toContainEqual(expect.objectContaining({ msg: 'a supergraph was refused: the one before it stays', hash: supergraph.hash }));

  await write(before);
  await eventually('the file to be right again', async () => (await statusOf()).supergraph.isUpToDate);
  expect(await fixture.metric('novacron_supergraph_last_reload_successful')).toBe(1);
});

it('nothing is dropped while one after the other is loaded', async () => {
  const before = await read();
  const over = new AbortController();
  const answers: unknown[] = [];
  const asking = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) answers.push(await fixture.query('{ __typename requestId }').then(({ status, errors }) => `${status} ${errors.length}`, String));
  });
  for (const version of [1, 2, 3]) {
    const hash = (await statusOf()).supergraph.hash;
    await write(`${before}\n# ${version}\n`);
    await eventually('the next version', async () => (await statusOf()).supergraph.hash !== hash);
  }
  over.abort();
  await Promise.all(asking);
  expect(answers.length).toBeGreaterThan(20);
  expect(new Set(answers)).toEqual(new Set(['200 0']));
  await write(before);
});
