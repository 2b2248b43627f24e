import { GraphQLError, type DocumentNode } from 'graphql';
import { refuseOversized } from './document-size.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { parseWithin } from './parse-within.ts';

/** Refuses a document that is beyond a limit, before anybody else parses it; to what is wrong with its syntax others have words. */
export function refuseBeyondLimits(query: string, limits: Limits = DEFAULT_LIMITS): void {
  let document: DocumentNode;
  try {
    document = parseWithin(query, limits, { noLocation: true });
  } catch (error) {
    if (error instanceof GraphQLError && error.extensions['code'] === undefined) return;
    throw error;
  }
  refuseOversized(document, limits);
}
