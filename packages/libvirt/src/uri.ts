import { existsSync } from 'node:fs';
import { InvalidRequest, Unsupported } from './errors.ts';

/** Where a daemon listens and which of its drivers is meant. */
export interface LibvirtAddress {
  readonly transport: 'unix';
  /** What the daemon is asked to open: the URI without what concerns only the way to the daemon. */
  readonly driverUri: string;
  readonly socketPath: string;
}

/** Source: libvirt 9.0.0 src/remote/remote_sockets.c, remoteDriverTransport. */
const OTHER_TRANSPORTS = new Set(['tcp', 'tls', 'ssh', 'libssh', 'libssh2', 'ext']);

/** Parameters that tell a client how to reach the daemon. Source: https://libvirt.org/uri.html#extra-parameters */
const CLIENT_PARAMETERS = ['socket', 'mode'];

/**
 * Takes a libvirt URI apart. Without `socket=` it is the system daemon's socket, or the session
 * daemon's for `…:///session`. Throws InvalidRequest for what is no libvirt URI, and Unsupported for
 * one that needs another transport than a UNIX socket.
 * Source: https://libvirt.org/uri.html
 */
export function parseUri(uri: string): LibvirtAddress {
  const match = /^([a-z][a-z0-9]*)(?:\+([a-z0-9]+))?:\/\//i.exec(uri);
  const url = match && URL.parse(uri);
  if (!match || !url) throw new InvalidRequest('This is not a libvirt URI: driver[+transport]://[host]/path is.');
  const [, driver = '', transport] = match;

  if (transport !== undefined && OTHER_TRANSPORTS.has(transport)) {
    throw new Unsupported('transport', `The transport ${transport} is not supported; unix is.`);
  }
  if (transport !== undefined && transport !== 'unix') {
    throw new InvalidRequest(`There is no libvirt transport ${transport}.`);
  }
  // libvirt's rule: a host without a transport means TLS.
  if (url.host !== '' && transport === undefined) {
    throw new Unsupported('transport', 'A URI with a host means TLS, which is not supported; unix is.');
  }
  if (url.host !== '') throw new InvalidRequest('A URI with the transport unix cannot name a host.');

  const socketPath = url.searchParams.get('socket');
  for (const name of CLIENT_PARAMETERS) url.searchParams.delete(name);
  return {
    transport: 'unix',
    driverUri: `${driver}://${url.pathname}${url.search}`,
    socketPath: socketPath ?? (url.pathname === '/session' ? sessionSocket() : systemSocket()),
  };
}

function systemSocket(): string {
  const [first, older] = ['/run/libvirt/libvirt-sock', '/var/run/libvirt/libvirt-sock'] as const;
  return !existsSync(first) && existsSync(older) ? older : first;
}

function sessionSocket(): string {
  const runtimeDirectory = process.env['XDG_RUNTIME_DIR'];
  if (!runtimeDirectory) throw new InvalidRequest('A session URI needs XDG_RUNTIME_DIR, or ?socket= in the URI.');
  return `${runtimeDirectory}/libvirt/libvirt-sock`;
}
