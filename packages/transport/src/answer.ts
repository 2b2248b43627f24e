import type { FormattedExecutionResult, GraphQLFormattedError } from 'graphql';
import { SubgraphFailure } from './subgraph-failure.ts';

/** More than the largest page has entities; a subgraph that finds more faults has made its point. */
const ERRORS_LIMIT = 1_000;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What a subgraph answered, as a result: `data` and `errors`, and of an error the message, the path and the code, field and
 * retryable. All else stays here: stack traces, hosts, traces of how it went. Throws a SubgraphFailure when it is no
 * result. Whether the data is what was asked for is the executor's to say, which knows the schema.
 */
export function readAnswer(answer: unknown): FormattedExecutionResult {
  if (!isObject(answer)) throw new SubgraphFailure('unusable', new Error('the answer is no object'));
  const { data, errors } = answer;
  const hasErrors = errors !== undefined && errors !== null;
  if (hasErrors && !Array.isArray(errors)) throw new SubgraphFailure('unusable', new Error('the errors are no list'));
  if (data !== undefined && data !== null && !isObject(data)) throw new SubgraphFailure('unusable', new Error('the data is no object'));
  const read = hasErrors ? errors.slice(0, ERRORS_LIMIT).map(readError) : [];
  if (read.length === 0 && !isObject(data)) throw new SubgraphFailure('unusable', new Error('the answer has neither data nor errors'));
  return { ...(data === undefined ? {} : { data }), ...(read.length === 0 ? {} : { errors: read }) };
}

function readError(error: unknown): GraphQLFormattedError {
  const { message, path, extensions } = isObject(error) ? error : {};
  if (typeof message !== 'string' || message === '') return { message: 'It did not say what is wrong.', ...readPath(path), extensions: { code: 'INTERNAL' } };
  const { code, field, retryable } = isObject(extensions) ? extensions : {};
  return {
    message,
    ...readPath(path),
    extensions: {
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof field === 'string' ? { field } : {}),
      ...(typeof retryable === 'boolean' ? { retryable } : {}),
    },
  };
}

const readPath = (path: unknown): { path?: (string | number)[] } =>
  Array.isArray(path) && path.every((step) => typeof step === 'string' || typeof step === 'number') ? { path } : {};
