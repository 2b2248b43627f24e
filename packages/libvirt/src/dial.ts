import type { Duplex } from 'node:stream';
import type { DialOptions } from './socket-ready.ts';
import { connectBySsh } from './ssh-socket.ts';
import { connectTcpSocket } from './tcp-socket.ts';
import { connectTlsSocket, LIBVIRT_PKI, type PkiFiles } from './tls-socket.ts';
import { connectUnixSocket } from './unix-socket.ts';
import type { LibvirtAddress } from './uri.ts';

/** The way to a daemon, whichever it is: all that follows needs no more than a stream. */
export function dial(address: LibvirtAddress, options: DialOptions & { pki?: PkiFiles | undefined }): Promise<Duplex> {
  options.signal?.throwIfAborted();
  switch (address.transport) {
    case 'unix':
      return connectUnixSocket(address, options);
    case 'tcp':
      return connectTcpSocket(address, options);
    case 'tls':
      return connectTlsSocket(address, options.pki ?? LIBVIRT_PKI, options);
    case 'ssh':
      return connectBySsh(address, options);
  }
}
