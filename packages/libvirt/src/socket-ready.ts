import type { Duplex } from 'node:stream';
import { ConnectionLost, DeadlineExceeded } from './errors.ts';

/** How long a transport may take to connect, and what else ends its attempt. */
export interface DialOptions {
  deadlineMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * Resolves with the socket when `prepare` calls `done`. Rejects with ConnectionLost when the socket
 * fails or `prepare` says so, with DeadlineExceeded when nothing comes in time, or with the signal's
 * reason; the socket is then destroyed. `where` is for people.
 */
export async function whenReady(
  socket: Duplex,
  where: string,
  { deadlineMs, signal }: DialOptions,
  prepare: (done: () => void, fail: (cause: Error) => void) => void,
): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const timer = setTimeout(() => reject(new DeadlineExceeded('connect', deadlineMs, false)), deadlineMs);
  const abort = () => reject(signal?.reason);
  const fail = (cause: Error) => reject(cannotConnect(where, cause));
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  socket.once('error', fail);
  prepare(() => resolve(socket), fail);
  try {
    return await promise;
  } catch (error) {
    socket.on('error', () => undefined).destroy(); // it failed already; a second error says nothing new
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    socket.off('error', fail);
  }
}

/** The error of an attempt in vain: nothing was sent. */
export function cannotConnect(where: string, cause: Error): ConnectionLost {
  return new ConnectionLost({ kind: 'socket', message: `${where}: ${sayingOf(cause)}`, cause }, false);
}

/** Node tells a person to change how Node is started; the authority is a file of ours. */
const NODE_ADVICE = /; if the root CA is installed locally.*/;

/** OpenSSL's errors have their words in `reason`; that of a name with several addresses has one error for each, and no words. */
function sayingOf(error: Error & { library?: string; reason?: string }): string {
  if (error instanceof AggregateError) return error.errors.map((each: Error) => each.message).join('; ');
  const { library, reason } = error;
  return library !== undefined && reason !== undefined ? `${library}: ${reason}` : error.message.replace(NODE_ADVICE, '');
}
