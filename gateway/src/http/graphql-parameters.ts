import { z } from 'zod';
import { RequestFault } from './request-fault.ts';

/** One request, well-formed: https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters */
export interface GraphqlParameters {
  /** Absent with `persistedHash` alone. */
  query: string | null;
  operationName: string | null;
  variables: Readonly<Record<string, unknown>>;
  /** SHA-256 of the query, in hexadecimal, from a client that hopes we know it. */
  persistedHash: string | null;
}

const map = z.record(z.string(), z.unknown());
const parameters = z.object({
  query: z.string().nullish(),
  operationName: z.string().nullish(),
  variables: map.nullish(),
  extensions: map.nullish(),
});
const persistedQuery = z.object({ version: z.literal(1), sha256Hash: z.string().regex(/^[0-9a-f]{64}$/) });

/** The parameters in a POST's parsed body. 400. */
export function readBody(body: unknown): GraphqlParameters {
  if (Array.isArray(body)) throw new RequestFault(400, 'Send one operation in a request: batches are not taken.');
  return read(body, 'the body');
}

/** The parameters in a GET's query string, `variables` and `extensions` as JSON. 400. */
export function readSearch(search: URLSearchParams): GraphqlParameters {
  const one = (name: string): string | undefined => {
    const values = search.getAll(name);
    if (values.length > 1) throw new RequestFault(400, `Send "${name}" once.`);
    return values[0];
  };
  const json = (name: string): unknown => {
    const text = one(name);
    try {
      return text === undefined ? undefined : JSON.parse(text);
    } catch {
      throw new RequestFault(400, `"${name}" is no JSON.`);
    }
  };
  return read({ query: one('query'), operationName: one('operationName'), variables: json('variables'), extensions: json('extensions') }, 'the query string');
}

function read(input: unknown, where: string): GraphqlParameters {
  const { success, data, error } = parameters.safeParse(input);
  if (!success) {
    const name = error.issues[0]?.path[0];
    throw new RequestFault(400, name === undefined ? `There is no GraphQL request in ${where}.` : `"${String(name)}" must be ${name === 'query' || name === 'operationName' ? 'a string' : 'an object'}.`);
  }
  const asked = data.extensions?.['persistedQuery'];
  const persisted = asked == null ? null : persistedQuery.safeParse(asked);
  if (persisted?.success === false) throw new RequestFault(400, '"extensions.persistedQuery" has version 1 and a sha256Hash in small hexadecimal digits.');
  const persistedHash = persisted?.data.sha256Hash ?? null;
  const query = data.query || null; // an empty one is none, as persisted queries come with some clients
  if (query === null && persistedHash === null) throw new RequestFault(400, `There is no "query" in ${where}.`);
  return { query, operationName: data.operationName ?? null, variables: data.variables ?? {}, persistedHash };
}
