import type { RequestContext } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { Logger } from 'pino';
import { Pool } from 'undici';
import type { RequestSigner } from './internal-token.ts';

/** How long a subgraph may take to answer. */
const TIMEOUT_MS = 15_000;
const CONNECT_TIMEOUT_MS = 3_000;
/** Sockets kept open to one process; further requests wait for a free one. */
const CONNECTIONS = 32;

export interface InternalClientOptions {
  /** What clients know it by: "vms". */
  name: string;
  /** Where its process listens: `http://10.0.0.7:8101`. */
  url: string;
  signRequest: RequestSigner;
  logger: Logger;
}

/** Sends signed POSTs to one subgraph's process over a pool of kept connections. */
export interface InternalClient {
  /**
   * The parsed answer with its status. UNAVAILABLE when the process can't be reached, takes longer than 15 s or refuses
   * our token; why stands in the log, never in the message.
   */
  post(path: string, audience: string, content: unknown, context: RequestContext): Promise<{ status: number; body: unknown }>;
  close(): Promise<void>;
}

/** Keeps up to 32 connections to the service open until it is closed. */
export function createInternalClient({ name, url, signRequest, logger }: InternalClientOptions): InternalClient {
  const pool = new Pool(url, {
    connections: CONNECTIONS,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });

  return {
    async post(path, audience, content, context) {
      try {
        const body = JSON.stringify(content);
        const token = await signRequest(audience, body, context);
        const response = await pool.request({
          method: 'POST',
          path,
          headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
          body,
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        const answer = await response.body.json();
        if (response.statusCode === 401) throw new Error('it refused the token that the gateway signed');
        return { status: response.statusCode, body: answer };
      } catch (cause) {
        logger.error({ err: cause, requestId: context.requestId, subgraph: name }, 'a service can not be reached');
        throw new DomainError('UNAVAILABLE', `The service "${name}" can't be reached.`, { cause });
      }
    },
    close: () => pool.destroy(),
  };
}
