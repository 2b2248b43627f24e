import { createHash } from 'node:crypto';
import { GraphQLError } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { GraphqlParameters } from './graphql-parameters.ts';
import { RequestFault } from './request-fault.ts';

/** In characters of their text. */
const KEPT_CHARACTERS = 8 * 2 ** 20;

/** Documents by their hash, as clients of Apollo's protocol send them from the second time on. */
export interface PersistedQueries {
  /** The document that a request means. PERSISTED_QUERY_NOT_FOUND, upon which its client sends it whole; 400 where the hash is another's. */
  resolve(parameters: GraphqlParameters): string;
  /** To be called with what `resolve` answered, once it has proved valid: only then is it kept. */
  keep(parameters: GraphqlParameters): void;
}

/**
 * Kept in memory, those used last: a client whose next request comes to another gateway sends the document once more.
 * https://www.apollographql.com/docs/apollo-server/performance/apq
 */
export function createPersistedQueries(): PersistedQueries {
  const kept = new LRUCache<string, string>({ maxSize: KEPT_CHARACTERS, sizeCalculation: (query) => query.length });
  return {
    resolve({ query, persistedHash }) {
      if (persistedHash === null) return query ?? '';
      if (query === null) {
        const known = kept.get(persistedHash);
        if (known !== undefined) return known;
        throw new GraphQLError('PersistedQueryNotFound', { extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }); // clients look for this very text
      }
      if (createHash('sha256').update(query).digest('hex') !== persistedHash) throw new RequestFault(400, 'The sha256Hash is not that of the query.');
      return query;
    },
    keep({ query, persistedHash }) {
      if (query !== null && persistedHash !== null) kept.set(persistedHash, query);
    },
  };
}
