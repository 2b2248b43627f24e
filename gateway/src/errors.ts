import { AsyncLocalStorage } from 'node:async_hooks';
import type { RequestContext } from '@novacron/contracts';
import { DomainError, ERROR_CODES, newId } from '@novacron/core';
import type { Presentation } from '@novacron/supergraph';
import { fieldAtFault, isCoercionError } from '@novacron/transport';
import { GraphQLError, type FormattedExecutionResult, type GraphQLFormattedError } from 'graphql';
import type { Logger } from 'pino';

/** Codes that a client may see: ours, and those by which GraphQL servers and clients speak of the protocol itself. */
const PUBLIC_CODES: ReadonlySet<unknown> = new Set([
  ...ERROR_CODES,
  'BAD_REQUEST',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'OPERATION_RESOLUTION_FAILURE',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
]);

const requests = new AsyncLocalStorage<string>();

/** Runs one request; whatever fails in it is answered and logged with its id. */
export const withRequestId = <Result>(requestId: string, run: () => Result): Result => requests.run(requestId, run);

/** A request's id: the caller's, when it is one that can stand in a log line; else a new one. */
export function chooseRequestId(proposed: string | string[] | undefined): string {
  return typeof proposed === 'string' && /^[\w.-]{1,64}$/.test(proposed) ? proposed : newId();
}

function domainErrorOf(error: unknown): DomainError | undefined {
  let inner = error;
  while (inner instanceof GraphQLError && inner.originalError !== undefined) inner = inner.originalError;
  return inner instanceof DomainError ? inner : undefined;
}

/** What is wrong, in the words of the public graph; null for what a client must not learn. */
function publicPart(error: unknown): { message: string; code: unknown; field?: unknown; retryable: boolean } | null {
  const domain = domainErrorOf(error);
  if (domain !== undefined) return domain.code === 'INTERNAL' ? null : domain.toRecord();
  if (!(error instanceof GraphQLError)) return null;
  const { code, field, retryable } = error.extensions;
  const isCoercion = isCoercionError(error);
  const known = isCoercion ? 'BAD_USER_INPUT' : code;
  if (!PUBLIC_CODES.has(known) || known === 'INTERNAL') return null;
  const named = field ?? (isCoercion ? fieldAtFault(error.message) : undefined);
  return { message: error.message, code: known, ...(named === undefined ? {} : { field: named }), retryable: retryable === true };
}

/** True for what a subgraph masked: it was logged there. */
const isLogged = (error: unknown): boolean =>
  error instanceof GraphQLError && error.extensions['serviceName'] !== undefined && error.extensions['code'] === 'INTERNAL';

/**
 * The one place where the gateway's errors take their public form: code, field, retryable and requestId, nothing else.
 * What has no public code becomes INTERNAL with a fixed message and is logged, once.
 */
export function formatError(error: unknown, logger: Logger, requestId = requests.getStore() ?? newId()): GraphQLFormattedError {
  const { locations, path } = error instanceof GraphQLError ? error : {};
  const place = { ...(locations === undefined ? {} : { locations }), ...(path === undefined ? {} : { path }) };
  const known = publicPart(error);
  if (known !== null) {
    const { message, code, field, retryable } = known;
    return { message, ...place, extensions: { code, ...(field === undefined ? {} : { field }), retryable, requestId } };
  }
  if (!isLogged(error)) logger.error({ err: error, requestId }, 'a request failed inside the gateway');
  const masked = new DomainError('INTERNAL', 'Something went wrong inside NovaCron.');
  return { message: masked.message, ...place, extensions: { code: masked.code, retryable: masked.retryable, requestId } };
}

/** How results look to NovaCron's clients. */
export const createPresentation = (logger: Logger): Presentation<RequestContext> => ({
  error: (thrown) => formatError(thrown, logger),
  result: (result) => hideCompletion(result, logger),
  inRequest: ({ requestId }, run) => withRequestId(requestId, run),
});

/**
 * Takes out of a result which field was null and should not have been: it says how the graph is cut. If nothing is left
 * of the data, that is an error like any other.
 */
export function hideCompletion(result: FormattedExecutionResult, logger: Logger): FormattedExecutionResult {
  const { valueCompletion, ...extensions } = result.extensions ?? {};
  const errors =
    result.data === null && result.errors === undefined
      ? [formatError(new Error(`a field that is never null was null: ${JSON.stringify(valueCompletion)}`), logger)]
      : result.errors;
  return {
    ...(result.data === undefined ? {} : { data: result.data }),
    ...(errors === undefined ? {} : { errors }),
    ...(Object.keys(extensions).length === 0 ? {} : { extensions }),
  };
}
