import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { cannotConnect, type DialOptions, whenReady } from './socket-ready.ts';
import type { TlsAddress } from './uri.ts';

/** Paths of PEM files: whom we trust, and who we are. */
export interface PkiFiles {
  /** The authority whose certificates are believed. */
  readonly ca: string;
  /** Our own certificate, for clients. */
  readonly cert: string;
  readonly key: string;
}

/** Where libvirt's own clients look. Source: https://libvirt.org/kbase/tlscerts.html */
export const LIBVIRT_PKI: PkiFiles = {
  ca: '/etc/pki/CA/cacert.pem',
  cert: '/etc/pki/libvirt/clientcert.pem',
  key: '/etc/pki/libvirt/private/clientkey.pem',
};

/** What a daemon sends inside TLS when it takes us. Source: libvirt 9.0.0 src/rpc/virnetserverclient.c, virNetServerClientCheckAccess. */
const WELCOME = 0x01;

/**
 * A TLS connection that the daemon has welcomed: its certificate is of our authority and names the
 * address's host, and it has taken ours. Fails as {@link whenReady} does. The files are read each time.
 */
export async function connectTlsSocket({ host, port }: TlsAddress, pki: PkiFiles, options: DialOptions): Promise<Duplex> {
  const where = `TLS to ${host} port ${port}`;
  const [ca, cert, key] = await Promise.all([
    readPem(where, 'the certificate of the authority', pki.ca),
    readPem(where, 'our certificate', pki.cert),
    readPem(where, 'the key of our certificate', pki.key),
  ]);
  options.signal?.throwIfAborted();
  const socket = openTls(where, { host, port, ca, cert, key });
  socket.setNoDelay(true);
  return whenReady(socket, where, options, (done, fail) => {
    const hungUp = () => fail(new Error(isSecure ? 'the daemon hung up: it does not take our certificate' : 'the other side hung up: it does not speak TLS'));
    const read = () => {
      const word = socket.read(1) as Buffer | null; // bytes, as no encoding was set
      if (word === null) return;
      socket.off('readable', read).off('end', hungUp);
      if (word[0] === WELCOME) done();
      else fail(new Error(`the daemon does not take our certificate (it said ${word[0]})`));
    };
    let isSecure = false;
    socket.on('end', hungUp);
    // The server's identity has been checked when this comes: rejectUnauthorized is Node's default.
    socket.once('secureConnect', () => {
      isSecure = true;
      socket.on('readable', read);
    });
  });
}

function openTls(where: string, options: { host: string; port: number; ca: Buffer; cert: Buffer; key: Buffer }) {
  try {
    // Server Name Indication knows names only (RFC 6066 section 3); an address is checked all the same.
    return connect({ ...options, minVersion: 'TLSv1.2', servername: isIP(options.host) ? '' : options.host });
  } catch (cause) {
    throw cannotConnect(where, asError(cause)); // a file that is no PEM, or a key of another certificate
  }
}

async function readPem(where: string, what: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw cannotConnect(where, new Error(`${what} can't be read: ${asError(cause).message}`, { cause }));
  }
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));
