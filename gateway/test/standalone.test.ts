import { writeFile } from 'node:fs/promises';
import { eventually } from '@novacron/testkit';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startStandaloneGateway, type StandaloneGateway } from '../src/standalone/server.ts';
import { startShop, type Shop } from './shop.ts';

let shop: Shop;
let gateway: StandaloneGateway;
const logger = pino({ level: 'silent' });
const start = (subgraphUrls = new Map<string, string>(), port = 0) => startStandaloneGateway({ supergraphFile: shop.supergraphFile, host: '127.0.0.1', port, subgraphUrls }, logger);

beforeAll(async () => {
  shop = await startShop();
  gateway = await start();
});
afterAll(async () => {
  await gateway.close();
  await shop.close();
});

interface Answer {
  data?: Record<string, unknown> | null;
  errors?: { message: string; path?: unknown[]; extensions?: Record<string, unknown> }[];
}
async function ask(query: string, variables: object = {}, { url } = gateway, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query, variables }) });
  return (await response.json()) as Answer;
}

describe('a supergraph of anyone\'s', () => {
  it.each([
    ['entities', '{ product(upc: "p1") { name postage } }', { product: { name: 'Lamp', postage: 110 } }],
    ['an entity that is not there', '{ product(upc: "p3") { name postage } }', { product: null }],
    ['@requires with an argument', '{ products { upc postage } }', { products: [{ upc: 'p1', postage: 110 }, { upc: 'p2', postage: 440 }] }],
    ['two choices of an argument, by two @requires', '{ products { postageInEuros postage } }', { products: [{ postageInEuros: 220, postage: 110 }, { postageInEuros: 880, postage: 440 }] }],
    ['an argument of the client beside that of @requires', '{ products { postage price(currency: EUR) bundled related(first: 0) { upc } } }', { products: [{ postage: 110, price: 22, bundled: ['p2'], related: [] }, { postage: 440, price: 44, bundled: ['p1'], related: [] }] }],

    ['aliases that look like what is required', '{ products { upc: name weight: upc price: weight postage } }', { products: [{ upc: 'Lamp', weight: 'p1', price: 1, postage: 110 }, { upc: 'Desk', weight: 'p2', price: 2, postage: 440 }] }],
    ['the names of those in other places', '{ upc: product(upc: "p1") { name__client: upc price: name } price__client: items { id: __typename name: id } }', { upc: { name__client: 'p1', price: 'Lamp' }, price__client: [{ id: 'Book', name: 'i1' }, { id: 'Toy', name: 'i2' }] }],
    ['an interface object', '{ items { __typename id reviews { body } ... on Book { pages } } }', { items: [{ __typename: 'Book', id: 'i1', reviews: [{ body: 'Of i1.' }], pages: 100 }, { __typename: 'Toy', id: 'i2', reviews: [{ body: 'Of i2.' }] }] }],
    ['@provides', '{ reviews { product { name } } }', { reviews: [{ product: { name: 'Lamp, as reviewed' } }] }],
    ['a mutation', 'mutation { rename(upc: "p1", name: "Torch") { name } }', { rename: { name: 'Torch' } }],
    ['variables with defaults', 'query ($with: Boolean = false, $upc: ID = "p2") { product(upc: $upc) { upc name @include(if: $with) weight @skip(if: $with) } }', { product: { upc: 'p2', weight: 2 } }],
    ['introspection', '{ __type(name: "Product") { fields { name } } }', { __type: { fields: ['upc', 'name', 'price', 'weight', 'related', 'postage', 'postageInEuros', 'bundled'].map((name) => ({ name })) } }],
  ])('is answered: %s', async (_what, query, data) => {
    expect(await ask(query)).toEqual({ data });
  });

  it('passes on no header of whoever asks', async () => {
    shop.requests.length = 0;
    await ask('{ products { postage } }', {}, gateway, { authorization: 'Bearer secret', cookie: 'session=secret', 'x-anything': 'secret' });
    expect(shop.requests.map(({ subgraph }) => subgraph)).toEqual(['catalog', 'shipping']);
    for (const { headers } of shop.requests) {
      expect(JSON.stringify(headers)).not.toContain('secret');
      expect(headers).toMatchObject({ 'content-type': 'application/json', accept: 'application/graphql-response+json, application/json;q=0.9' });
    }
  });

  it('shows the errors of its subgraphs, and no stack', async () => {
    const { data, errors } = await ask('{ broken products { upc } }');
    expect(data).toMatchObject({ broken: null, products: [{ upc: 'p1' }, { upc: 'p2' }] });
    expect(errors).toEqual([{ message: 'The shelf has collapsed.', path: ['broken'], extensions: { code: 'SHELF', serviceName: 'catalog' } }]);
    expect(await ask('{ weight: broken }')).toMatchObject({ data: { weight: null }, errors: [{ path: ['weight'] }] });
  });

  it.each([
    ['{ nothing }', 'GRAPHQL_VALIDATION_FAILED'],
    ['{', 'GRAPHQL_PARSE_FAILED'],
    ['query ($upc: ID!) { product(upc: $upc) { name } }', 'BAD_USER_INPUT'],
  ])('%s is %s', async (query, code) => {
    expect(await ask(query)).toMatchObject({ errors: [{ extensions: { code } }] });
  });

  it.each([['a page', '<html>'], ['a list', []], ['data of another form', { data: { products: 'many' } }]])('answers the rest where a subgraph gives %s', async (_what, body) => {
    shop.instead.set('shipping', body);
    const { data, errors } = await ask('{ products { upc postage } }');
    shop.instead.clear();
    expect(data).toEqual({ products: [{ upc: 'p1', postage: null }, { upc: 'p2', postage: null }] });
    expect(errors?.length).toBeGreaterThan(0);
  });

  it('is alive, ready and counted', async () => {
    expect(await (await fetch(`${gateway.url}/health`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${gateway.url}/ready`)).json()).toMatchObject({ ready: true, supergraph: { isUpToDate: true } });
    expect(await (await fetch(`${gateway.url}/metrics`)).text()).toContain('novacron_graphql_operations_total{type="query",outcome="ok"}');
    expect((await fetch(gateway.url)).status).toBe(404);
  });
});

describe('its file', () => {
  let own: StandaloneGateway;
  beforeEach(async () => {
    own = await start();
  });
  afterEach(async () => {
    await writeFile(shop.supergraphFile, shop.supergraphSdl);
    await own.close();
  });

  it('is followed, to other addresses too', async () => {
    const other = await startShop();
    try {
      await writeFile(shop.supergraphFile, other.supergraphSdl);
      await eventually('the other shop to be asked', async () => {
        await ask('{ products { postage } }', {}, own);
        return other.requests.length > 0;
      });
      shop.requests.length = 0;
      expect(await ask('{ product(upc: "p1") { postage } }', {}, own)).toEqual({ data: { product: { postage: 110 } } });
      expect(shop.requests).toEqual([]);
    } finally {
      await own.close();
      await other.close();
    }
  });

  it('is refused while it is no supergraph, which /ready and a metric say', async () => {
    await writeFile(shop.supergraphFile, '# soon');
    await eventually('the refusal', async () => ((await (await fetch(`${own.url}/ready`)).json()) as { supergraph: { isUpToDate: boolean } }).supergraph.isUpToDate === false);
    expect(await ask('{ product(upc: "p1") { name } }', {}, own)).toEqual({ data: { product: { name: 'Lamp' } } });
    expect(await (await fetch(`${own.url}/metrics`)).text()).toContain('novacron_supergraph_last_reload_successful 0');
  });
});

describe('it does not start', () => {
  it('at a port that is taken', async () => {
    await expect(start(new Map(), Number(new URL(gateway.url).port))).rejects.toThrow(/^Port \d+ is already in use: set --port to a free one\.$/);
  });

  it('with the address of a subgraph that is not there', async () => {
    await expect(start(new Map([['billing', 'http://127.0.0.1:1']]))).rejects.toThrow('There is no subgraph "billing" in it: its subgraphs are catalog, reviews, shipping.');
  });

  it('without knowing where a subgraph is', async () => {
    await writeFile(shop.supergraphFile, shop.supergraphSdl.replace(shop.urls.shipping, ''));
    await expect(start()).rejects.toThrow('It has no address for the subgraph "shipping": add --subgraph shipping=URL.');
    const told = await start(new Map([['shipping', shop.urls.shipping]]));
    await writeFile(shop.supergraphFile, shop.supergraphSdl);
    expect(await ask('{ product(upc: "p1") { postage } }', {}, told)).toEqual({ data: { product: { postage: 110 } } });
    await told.close();
  });
});
