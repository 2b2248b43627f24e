import { DomainError } from '@novacron/core';
import { GraphQLError, Kind, type GraphQLFormattedError } from 'graphql';
import type { Logger } from 'pino';

const INTERNAL_MESSAGE = 'Something went wrong inside NovaCron.';

/** What a client sees of anything that we did not foresee: nothing but that it happened. */
export const internalError = (): DomainError => new DomainError('INTERNAL', INTERNAL_MESSAGE);

/** An error of the domain as a GraphQL error's extensions. */
export function errorExtensions(error: DomainError): Record<string, unknown> {
  const { code, field, retryable } = error.toRecord();
  return { code, ...(field === undefined ? {} : { field }), retryable };
}

/**
 * The input at fault in a coercion error of graphql-js, which only its message names:
 * `Variable "$input" got invalid value "x" at "input.kernel.initrd"; ...` is "kernel.initrd".
 */
export function fieldAtFault(message: string): string | undefined {
  const variable = /^Variable "\$(\w+)"/.exec(message)?.[1];
  if (variable === undefined) return undefined;
  const within = /^.* at "\w+\.([^"]+)"; /s.exec(message)?.[1];
  const absent = /; Field "(\w+)" (?:of required type|is not defined by type)/.exec(message)?.[1];
  const path = [within, absent].filter((part) => part !== undefined);
  return path.length > 0 ? path.join('.') : variable;
}

/** True for what graphql-js says about a variable that has the wrong form. */
export const isCoercionError = (error: GraphQLError): boolean =>
  error.nodes?.length === 1 && error.nodes[0]?.kind === Kind.VARIABLE_DEFINITION && error.message.startsWith('Variable "$');

/** The DomainError at the bottom of what graphql-js wrapped, if there is one. */
function domainErrorOf(error: unknown): DomainError | undefined {
  let inner = error;
  while (inner instanceof GraphQLError) inner = inner.originalError;
  return inner instanceof DomainError ? inner : undefined;
}

/** Which answer an error belongs to, for its place in the response and in the logs. */
export interface ErrorOrigin {
  stage: 'validation' | 'execution';
  subgraph: string;
  requestId: string;
  logger: Logger;
}

/**
 * The one place where a subgraph's errors become GraphQL errors. A DomainError keeps its code, field and message;
 * what is wrong with the request keeps GraphQL's standard codes; all else is INTERNAL with a fixed message, and its
 * cause is logged here, once.
 */
export function formatSubgraphError(error: unknown, origin: ErrorOrigin): GraphQLFormattedError {
  const path = error instanceof GraphQLError && error.path ? { path: error.path } : {};
  const domain = domainErrorOf(error);
  if (error instanceof GraphQLError) {
    if (isCoercionError(error)) {
      const field = domain?.field ?? fieldAtFault(error.message);
      return { message: error.message, extensions: { code: 'BAD_USER_INPUT', ...(field === undefined ? {} : { field }), retryable: false } };
    }
    if (domain === undefined && origin.stage === 'validation') {
      return { message: error.message, extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } };
    }
    // An argument that only execution can find missing (graphql-js, getArgumentValues) has no original error.
    if (domain === undefined && error.originalError === undefined && error.message.startsWith('Argument "')) {
      return { message: error.message, ...path, extensions: { code: 'BAD_USER_INPUT', retryable: false } };
    }
  }
  if (domain !== undefined && domain.code !== 'INTERNAL') {
    return { message: domain.message, ...path, extensions: errorExtensions(domain) };
  }
  const cause = domain?.cause ?? domain ?? (error instanceof GraphQLError ? (error.originalError ?? error) : error);
  origin.logger.error({ err: cause, requestId: origin.requestId, subgraph: origin.subgraph, ...path }, 'a resolver failed');
  const shown = domain === undefined ? DomainError.from(cause) : internalError(); // a message of ours is masked as well
  return { message: shown.message, ...path, extensions: errorExtensions(shown) };
}
