import { STATUS_CODES } from 'node:http';
import type { ErrorCode } from '@novacron/core';
import type { GraphQLFormattedError } from 'graphql';

/** An error as RFC 9457 has it; `type` is left out, which means that `status` says what kind it is. */
export interface Problem {
  title: string;
  status: number;
  detail: string;
  code: string;
  field?: string;
  retryable: boolean;
  requestId: string;
}

/** What was wrong with a part of an answer. */
export type PartialProblem = Omit<Problem, 'title' | 'status'> & { path: string };

const STATUSES = {
  BAD_USER_INPUT: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  QUOTA_EXCEEDED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  CONFLICT: 409,
  INVALID_STATE: 409,
  NO_CAPACITY: 409,
  CURSOR_EXPIRED: 410,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  UNAVAILABLE: 503,
} as const satisfies Record<ErrorCode, number>;

/** Codes of the protocol say that the request was wrong. */
const statusOf = (code: string): number => (code in STATUSES ? STATUSES[code as ErrorCode] : 400); // just seen

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function details({ message, extensions = {} }: GraphQLFormattedError): Omit<Problem, 'title' | 'status'> {
  const { code, field, retryable, requestId } = extensions;
  return {
    detail: message,
    code: textOf(code),
    ...(typeof field === 'string' ? { field } : {}),
    retryable: retryable === true,
    requestId: textOf(requestId),
  };
}

/** `status`: for what HTTP knows more exactly than our codes do, such as 405. */
export function toProblem(error: GraphQLFormattedError, status = statusOf(textOf(error.extensions?.['code']))): Problem {
  return { title: STATUS_CODES[status] ?? 'Error', status, ...details(error) };
}

/** `path`: within what is answered, where a list has items instead of edges. */
export const toPartialProblem = (error: GraphQLFormattedError): PartialProblem => ({
  ...details(error),
  path: (error.path ?? [])
    .slice(1)
    .join('.')
    .replaceAll(/\bedges\.(\d+)\.node\b/g, 'items.$1')
    .replace(/^(?=\d+\b)/, 'items.'),
});

/** Headers that belong to an answer of this kind; those of rate limits come with every answer (tellRateLimits). */
export const problemHeaders = ({ status }: Problem): Record<string, string> => ({
  'content-type': 'application/problem+json; charset=utf-8',
  ...(status === 401 ? { 'www-authenticate': 'Bearer realm="NovaCron"' } : {}),
  ...(status === 503 ? { 'retry-after': '1' } : {}),
});
