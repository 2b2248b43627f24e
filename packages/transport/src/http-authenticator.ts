import type { Authenticator, RequestContext, Viewer } from '@novacron/contracts';
import { DomainError, ERROR_CODES, newId } from '@novacron/core';
import type { Logger } from 'pino';
import { z } from 'zod';
import { unavailable } from './failure-answer.ts';
import { createInternalClient, type InternalClientOptions } from './internal-client.ts';
import type { InternalRoute } from './server.ts';
import { SubgraphFailure } from './subgraph-failure.ts';

const AUTHENTICATE = '/internal/authenticate';
const JWKS = '/internal/jwks';
const TIMEOUT_MS = 10_000;

/** What identity's process serves beside its subgraph: the `extraRoutes` of serveSubgraphs. */
export function authenticatorRoutes(authenticator: Authenticator): Record<string, InternalRoute> {
  const question = z.object({ accessToken: z.string(), address: z.string().nullable().default(null) });
  return {
    [AUTHENTICATE]: (body) => {
      const { accessToken, address } = question.parse(body);
      return authenticator.authenticate(accessToken, address);
    },
    [JWKS]: () => authenticator.jwks(),
  };
}

const failure = z.object({
  errors: z.array(z.object({ message: z.string(), extensions: z.object({ code: z.enum(ERROR_CODES), retryable: z.boolean().optional() }) })).min(1),
});
const success = z.object({ viewer: z.custom<Viewer>((value) => typeof value === 'object'), issuedAt: z.coerce.date(), expiresAt: z.coerce.date() });
const keys = z.object({ keys: z.array(z.record(z.string(), z.unknown())) });

/** An Authenticator in another process. */
export interface HttpAuthenticator extends Authenticator {
  close(): Promise<void>;
}

/** Asks identity's process, behind serveSubgraphs with authenticatorRoutes. UNAVAILABLE when it gives no answer within 10 s. */
export function createHttpAuthenticator({ logger, ...options }: InternalClientOptions & { logger: Logger }): HttpAuthenticator {
  const client = createInternalClient(options);

  async function ask(path: string, content: object): Promise<unknown> {
    const context: RequestContext = { viewer: null, requestId: newId(), address: null, userAgent: null };
    const { status, body } = await client.post(path, path, content, context, AbortSignal.timeout(TIMEOUT_MS)).catch((thrown: unknown) => {
      if (!(thrown instanceof SubgraphFailure)) throw thrown;
      const { reason, cause = thrown } = thrown;
      logger.error({ err: cause, reason, requestId: context.requestId, subgraph: options.name }, 'a service can not be reached');
      throw unavailable(options.name, thrown);
    });
    if (status === 200) return body;
    const error = failure.parse(body).errors[0];
    throw new DomainError(error?.extensions.code ?? 'INTERNAL', error?.message ?? '', { retryable: error?.extensions.retryable ?? false });
  }

  return {
    authenticate: async (accessToken, address) => success.parse(await ask(AUTHENTICATE, { accessToken, address })),
    jwks: async () => keys.parse(await ask(JWKS, {})),
    close: () => client.close(),
  };
}
