import type { WebSocket } from 'ws';
import { nowAndThen } from './now-and-then.ts';

const PING_EVERY_MS = 12_000;

/** Pings a client now and then, and gives it up when it has not answered by the next time. Returns what ends it. */
export function startPings(socket: WebSocket): () => void {
  let answered = true;
  socket.on('pong', () => (answered = true));
  return nowAndThen(() => {
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, PING_EVERY_MS);
}
