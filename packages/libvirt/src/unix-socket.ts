import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ConnectionLost, DeadlineExceeded } from './errors.ts';

/**
 * A connected UNIX socket. Rejects with ConnectionLost when nobody listens there, DeadlineExceeded
 * when nobody accepts in time, or the signal's reason.
 */
export async function connectUnixSocket(path: string, deadlineMs: number, signal?: AbortSignal): Promise<Duplex> {
  signal?.throwIfAborted();
  const socket = connectSocket(path);
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const timer = setTimeout(() => reject(new DeadlineExceeded('connect', deadlineMs, false)), deadlineMs);
  const abort = () => reject(signal?.reason);
  const fail = (cause: Error) =>
    reject(new ConnectionLost({ kind: 'socket', message: `${path}: ${cause.message}`, cause }, false));
  signal?.addEventListener('abort', abort, { once: true });
  socket.once('connect', () => resolve(socket));
  socket.once('error', fail);
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
