import { carryTrace } from '@novacron/telemetry';
import { Pool } from 'undici';
import { SubgraphFailure, type FailureReason } from './subgraph-failure.ts';

const CONNECT_TIMEOUT_MS = 3_000;
/** Sockets kept open to one process; further requests wait for a free one. */
const CONNECTIONS = 32;
/** No page of entities comes near; what is larger is cut off and counts as no answer. */
const ANSWER_LIMIT = 32 * 2 ** 20;

/** By these, undici and node say that there never was a connection to send anything over. */
const UNREACHED = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT)$/;
/** What a proxy or a balancer says when the process behind it is away. */
const AWAY = new Set([502, 503, 504]);
const JSON_TYPE = /^application\/(graphql-response\+)?json\s*(;|$)/i;

/** Connections to one process. Whoever asks brings the deadline: undici's own, which begin anew with each byte, would not end a drip. */
export const openPool = (url: string): Pool =>
  new Pool(url, { connections: CONNECTIONS, connect: { timeout: CONNECT_TIMEOUT_MS }, headersTimeout: 0, bodyTimeout: 0, maxResponseSize: ANSWER_LIMIT });

export interface JsonPost {
  path: string;
  headers?: Readonly<Record<string, string>>;
  /** JSON already. */
  body: string;
  /** Ends the request, whatever it is at. */
  signal: AbortSignal;
}

/** The parsed answer with its status. Rejects with a SubgraphFailure when there is none, when it is no JSON, and beyond 32 MiB. */
export async function postJson(pool: Pool, { path, headers, body, signal }: JsonPost): Promise<{ status: number; body: unknown }> {
  try {
    const response = await pool.request({ method: 'POST', path, headers: { 'content-type': 'application/json', ...carryTrace(), ...headers }, body, signal });
    const text = await response.body.text();
    const status = response.statusCode;
    const type = String(response.headers['content-type'] ?? 'none');
    if (AWAY.has(status)) throw new SubgraphFailure('broken', new Error(`status ${status}`));
    if (!JSON_TYPE.test(type)) throw new SubgraphFailure('unusable', new Error(`content type ${type.slice(0, 100)}, status ${status}`));
    return { status, body: JSON.parse(text) as unknown };
  } catch (thrown) {
    throw thrown instanceof SubgraphFailure ? thrown : new SubgraphFailure(signal.aborted ? 'late' : reasonOf(thrown), thrown);
  }
}

function reasonOf(thrown: unknown): FailureReason {
  if (thrown instanceof SyntaxError) return 'unusable';
  const { code } = thrown as { code?: unknown }; // undici and node throw objects; what has no code was broken
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return 'unusable';
  return UNREACHED.test(String(code)) ? 'unreached' : 'broken';
}
