import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { type DialOptions, whenReady } from './socket-ready.ts';
import type { UnixAddress } from './uri.ts';

/** A connected UNIX socket. Fails as {@link whenReady} does. */
export function connectUnixSocket({ socketPath }: UnixAddress, options: DialOptions): Promise<Duplex> {
  const socket = connect(socketPath);
  return whenReady(socket, socketPath, options, (done) => socket.once('connect', done));
}
