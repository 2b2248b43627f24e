import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeServices } from '@apollo/composition';
import { buildSubgraphSchema } from '@apollo/subgraph';
import fastify, { type FastifyInstance } from 'fastify';
import { execute, parse, validate, type GraphQLError, type GraphQLSchema } from 'graphql';

const link = (imports: string) => `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: [${imports}])`;

interface Product {
  upc: string;
  name: string;
  dollars: number;
  weight: number;
}
const PRODUCTS: readonly Product[] = [
  { upc: 'p1', name: 'Lamp', dollars: 11, weight: 1 },
  { upc: 'p2', name: 'Desk', dollars: 22, weight: 2 },
];
const ITEMS = [
  { __typename: 'Book', id: 'i1', pages: 100 },
  { __typename: 'Toy', id: 'i2', age: 3 },
] as const;

const byUpc = ({ upc }: { upc: string }) => PRODUCTS.find((product) => product.upc === upc) ?? null;

/** Entities, @requires with arguments, an interface object and @provides, in three services. */
const SUBGRAPHS = {
  catalog: {
    sdl: `${link('"@key", "@shareable"')}
      type Query { products: [Product!]! product(upc: ID!): Product items: [Item!]! broken: String }
      type Mutation { rename(upc: ID!, name: String!): Product }
      type Product @key(fields: "upc") {
        upc: ID!
        name: String @shareable
        price(currency: Currency!): Int
        weight: Int
        related(first: Int): [Product!]!
      }
      enum Currency { USD EUR }
      interface Item @key(fields: "id") { id: ID! }
      type Book implements Item @key(fields: "id") { id: ID! pages: Int }
      type Toy implements Item @key(fields: "id") { id: ID! age: Int }`,
    resolvers: {
      Query: {
        products: () => PRODUCTS,
        product: (_root: unknown, reference: { upc: string }) => byUpc(reference),
        items: () => ITEMS,
        broken: () => {
          throw new Error('The shelf has collapsed.');
        },
      },
      Mutation: { rename: (_root: unknown, { upc, name }: { upc: string; name: string }) => ({ ...byUpc({ upc }), name }) },
      Product: {
        __resolveReference: byUpc,
        price: ({ dollars }: Product, { currency }: { currency: string }) => (currency === 'EUR' ? dollars * 2 : dollars),
        related: ({ upc }: Product, { first = 10 }: { first?: number }) => PRODUCTS.filter((product) => product.upc !== upc).slice(0, first),
      },
      Item: { __resolveReference: ({ id }: { id: string }) => ITEMS.find((item) => item.id === id) },
      Book: { __resolveReference: ({ id }: { id: string }) => ITEMS.find((item) => item.id === id) },
      Toy: { __resolveReference: ({ id }: { id: string }) => ITEMS.find((item) => item.id === id) },
    },
  },
  shipping: {
    sdl: `${link('"@key", "@external", "@requires"')}
      type Product @key(fields: "upc") {
        upc: ID!
        price(currency: Currency!): Int @external
        weight: Int @external
        related(first: Int): [Product!]! @external
        postage: Int @requires(fields: "price(currency: USD) weight")
        postageInEuros: Int @requires(fields: "price(currency: EUR) weight")
        bundled: [ID!] @requires(fields: "related(first: 1) { upc }")
      }
      enum Currency { USD EUR }`,
    resolvers: {
      Product: {
        postage: ({ price, weight }: { price: number; weight: number }) => price * weight * 10,
        postageInEuros: ({ price, weight }: { price: number; weight: number }) => price * weight * 10,
        bundled: ({ related }: { related: { upc: string }[] }) => related.map(({ upc }) => upc),
      },
    },
  },
  reviews: {
    sdl: `${link('"@key", "@interfaceObject", "@external", "@provides"')}
      type Query { reviews: [Review!]! }
      type Item @key(fields: "id") @interfaceObject { id: ID! reviews: [Review!]! }
      type Review { body: String product: Product @provides(fields: "name") }
      type Product @key(fields: "upc") { upc: ID! name: String @external }`,
    resolvers: {
      Query: { reviews: () => [{ body: 'Bright.', product: { upc: 'p1', name: 'Lamp, as reviewed' } }] },
      Item: { reviews: ({ id }: { id: string }) => [{ body: `Of ${id}.`, product: { upc: 'p2', name: 'Desk, as reviewed' } }] },
    },
  },
};
export type ShopSubgraph = keyof typeof SUBGRAPHS;

export interface Shop {
  /** Composed, with the addresses of this run. */
  supergraphSdl: string;
  supergraphFile: string;
  urls: Readonly<Record<ShopSubgraph, string>>;
  /** What each request carried, in the order of their coming. */
  requests: { subgraph: ShopSubgraph; headers: Readonly<Record<string, unknown>>; query: string }[];
  /** Bodies that a subgraph answers with instead of its own. */
  instead: Map<ShopSubgraph, unknown>;
  close(): Promise<void>;
}

/** The three services over HTTP, each as any GraphQL server would be, and their supergraph in a file. */
export async function startShop(): Promise<Shop> {
  const requests: Shop['requests'] = [];
  const instead: Shop['instead'] = new Map();
  const servers: FastifyInstance[] = [];
  const listen = async (name: ShopSubgraph): Promise<[ShopSubgraph, string]> => {
    const { sdl, resolvers } = SUBGRAPHS[name];
    const schema = buildSubgraphSchema([{ typeDefs: parse(sdl), resolvers: resolvers as never }]); // its type knows no __resolveReference of an interface
    const server = fastify();
    servers.push(server);
    server.post<{ Body: Asked }>('/graphql', async ({ body, headers }) => {
      requests.push({ subgraph: name, headers, query: body.query });
      return instead.get(name) ?? answer(schema, body);
    });
    return [name, `${await server.listen({ host: '127.0.0.1', port: 0 })}/graphql`];
  };
  const names = Object.keys(SUBGRAPHS) as ShopSubgraph[]; // keys of a constant
  const urls = Object.fromEntries(await Promise.all(names.map(listen))) as Shop['urls']; // of every name
  const { supergraphSdl, errors } = composeServices(names.map((name) => ({ name, url: urls[name], typeDefs: parse(SUBGRAPHS[name].sdl) })));
  if (supergraphSdl === undefined) throw new Error(errors?.join('\n'));
  const directory = await mkdtemp(join(tmpdir(), 'novacron-shop-'));
  const supergraphFile = join(directory, 'supergraph.graphql');
  await writeFile(supergraphFile, supergraphSdl);
  return {
    supergraphSdl,
    supergraphFile,
    urls,
    requests,
    instead,
    async close() {
      await Promise.all(servers.map((server) => server.close()));
      await rm(directory, { recursive: true });
    },
  };
}

interface Asked {
  query: string;
  variables?: Record<string, unknown>;
}

async function answer(schema: GraphQLSchema, { query, variables }: Asked): Promise<unknown> {
  const document = parse(query);
  const refusals = validate(schema, document);
  if (refusals.length > 0) return { errors: refusals };
  const { data, errors } = await execute({ schema, document, variableValues: variables });
  // as servers in development do
  const told = errors?.map(({ message, path, stack = '' }: GraphQLError) => ({ message, path, extensions: { code: 'SHELF', stacktrace: [stack], exception: { stacktrace: [stack] } } }));
  return { data, ...(told ? { errors: told } : {}) };
}
