import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { type DialOptions, whenReady } from './socket-ready.ts';
import type { TcpAddress } from './uri.ts';

/** A connected TCP socket. Fails as {@link whenReady} does. */
export function connectTcpSocket({ host, port }: TcpAddress, options: DialOptions): Promise<Duplex> {
  const socket = connect({ host, port, noDelay: true });
  return whenReady(socket, `TCP to ${host} port ${port}`, options, (done) => socket.once('connect', done));
}
