import { AsyncLocalStorage } from 'node:async_hooks';
import { DomainError } from '@novacron/core';
import type { Presentation } from '@novacron/supergraph';
import { isCoercionError } from '@novacron/transport';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { Logger } from 'pino';

/** All that is known of a request here. */
export interface StandaloneContext {
  requestId: string;
}

const requests = new AsyncLocalStorage<string>();

/**
 * How results look where there is nothing to hide from whoever runs the subgraphs: their errors pass with message, path and
 * code. What fails in the gateway itself is logged, and INTERNAL.
 */
export const createStandalonePresentation = (logger: Logger): Presentation<StandaloneContext> => ({
  error: (thrown) => formatStandaloneError(thrown, requests.getStore(), logger),
  result: ({ extensions = {}, ...result }) => (Object.keys(extensions).length === 0 ? result : { ...result, extensions }),
  inRequest: ({ requestId }, run) => requests.run(requestId, run),
});

export function formatStandaloneError(thrown: unknown, requestId: string | undefined, logger: Logger): GraphQLFormattedError {
  if (thrown instanceof GraphQLError) {
    const { message, locations, path, extensions } = thrown;
    const code = isCoercionError(thrown) ? 'BAD_USER_INPUT' : (extensions['code'] ?? 'INTERNAL');
    const place = { ...(locations === undefined ? {} : { locations }), ...(path === undefined ? {} : { path }) };
    const { serviceName } = extensions;
    return { message, ...place, extensions: { code, ...(serviceName === undefined ? {} : { serviceName }) } };
  }
  if (!(thrown instanceof DomainError) || thrown.code === 'INTERNAL') logger.error({ err: thrown, requestId }, 'a request failed inside the gateway');
  const { message, code } = DomainError.from(thrown);
  return { message, extensions: { code } };
}
