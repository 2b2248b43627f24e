import type { FormattedExecutionResult } from 'graphql';
import { DomainError } from '@novacron/core';
import type { SubgraphRequest } from './data-source.ts';
import { errorExtensions } from './error-format.ts';
import type { SubgraphFailure } from './subgraph-failure.ts';

/** True also for a query that merely has the word in it, which then is not asked again: never the other way round. */
export const mayBeMutation = ({ query }: SubgraphRequest<unknown>): boolean => /\bmutation\b/.test(query);

/** What a client is told of a subgraph that gave no answer; why, it is not. */
export function failureAnswer(name: string, request: SubgraphRequest<unknown>, failure: SubgraphFailure): FormattedExecutionResult {
  const error = mayBeMutation(request) && failure.mayHaveTakenEffect ? outcomeUnknown(name, request) : unavailable(name, failure);
  return { errors: [{ message: error.message, extensions: errorExtensions(error) }] };
}

/** UNAVAILABLE, in words that name the service and nothing of where it is. */
export function unavailable(name: string, failure: SubgraphFailure): DomainError {
  const what = failure.reason === 'late' || failure.reason === 'hurried' || failure.reason === 'expired' ? 'did not answer in time' : "can't be reached";
  return new DomainError('UNAVAILABLE', `The service "${name}" ${what}.`, { cause: failure });
}

function outcomeUnknown(name: string, request: SubgraphRequest<unknown>): DomainError {
  const repeatable = hasIdempotencyKey(request);
  const advice = repeatable ? 'Send it again with the same idempotencyKey: it takes effect once.' : 'Look before you send it again: only an idempotencyKey makes that safe.';
  return new DomainError('UNAVAILABLE', `The service "${name}" gave no answer: whether the mutation took effect is not known. ${advice}`, { retryable: repeatable });
}

/** The planner hands arguments on as they were written, in the query or in variables of any name. */
function hasIdempotencyKey({ query, variables = {} }: SubgraphRequest<unknown>): boolean {
  const inQuery = /\bidempotencyKey\s*:\s*(?:"|\$(\w+))/.exec(query);
  if (inQuery !== null) return inQuery[1] === undefined || typeof variables[inQuery[1]] === 'string';
  return Object.values(variables).some((value) => typeof value === 'object' && value !== null && 'idempotencyKey' in value && typeof value.idempotencyKey === 'string');
}
