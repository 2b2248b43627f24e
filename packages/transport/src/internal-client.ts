import type { RequestContext } from '@novacron/contracts';
import type { RequestSigner } from './internal-token.ts';
import { openPool, postJson } from './post-json.ts';
import { SubgraphFailure } from './subgraph-failure.ts';

export interface InternalClientOptions {
  /** What clients know it by: "vms". */
  name: string;
  /** Where its process listens: `http://10.0.0.7:8101`. */
  url: string;
  signRequest: RequestSigner;
}

/** Sends signed POSTs to one subgraph's process over a pool of kept connections. */
export interface InternalClient {
  /** The parsed answer with its status. Rejects with a SubgraphFailure. */
  post(path: string, audience: string, content: unknown, context: RequestContext, signal: AbortSignal): Promise<{ status: number; body: unknown }>;
  close(): Promise<void>;
}

/** Keeps up to 32 connections to the service open until it is closed. */
export function createInternalClient({ url, signRequest }: InternalClientOptions): InternalClient {
  const pool = openPool(url);
  return {
    async post(path, audience, content, context, signal) {
      const body = JSON.stringify(content);
      const token = await signRequest(audience, body, context);
      const answer = await postJson(pool, { path, headers: { authorization: `Bearer ${token}` }, body, signal });
      if (answer.status === 401) throw new SubgraphFailure('refused', new Error('it refused the token that the gateway signed'));
      return answer;
    },
    close: () => pool.destroy(),
  };
}
