import { existsSync } from 'node:fs';
import { InvalidRequest, Unsupported } from './errors.ts';

interface Driver {
  /** What the daemon is asked to open: the URI without what concerns only the way to the daemon. */
  readonly driverUri: string;
}

/** A daemon on this machine. */
export interface UnixAddress extends Driver {
  readonly transport: 'unix';
  readonly socketPath: string;
}

interface Network extends Driver {
  /** A name or an IP address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** A daemon that listens in the clear. Nothing is encrypted, and as a rule nobody authenticated. */
export interface TcpAddress extends Network {
  readonly transport: 'tcp';
}

/** A daemon that shows a certificate for `host`, and wants to see ours. */
export interface TlsAddress extends Network {
  readonly transport: 'tls';
}

/** A daemon's UNIX socket on a machine that ssh logs in to. What is left out, ssh's configuration decides. */
export interface SshAddress extends Driver {
  readonly transport: 'ssh';
  readonly host: string;
  readonly port?: number;
  readonly user?: string;
  /** The private key, on this machine. */
  readonly keyfile?: string;
  /** On that machine; without it, what libvirt finds there. */
  readonly socketPath?: string;
}

/** Where a daemon listens and which of its drivers is meant. */
export type LibvirtAddress = UnixAddress | TcpAddress | TlsAddress | SshAddress;

type Transport = LibvirtAddress['transport'];

/** Source: libvirt 9.0.0 src/remote/remote_sockets.c, remoteDriverTransport. */
const OTHER_TRANSPORTS = new Set(['libssh', 'libssh2', 'ext']);

/** Source: libvirt 9.0.0 src/remote/remote_driver.h, LIBVIRTD_TLS_PORT and LIBVIRTD_TCP_PORT. */
const PORTS = { tcp: 16_509, tls: 16_514 } as const;

/** Parameters that tell a client how to reach the daemon. Source: https://libvirt.org/uri.html#extra-parameters */
const WAY_PARAMETERS: Readonly<Record<Transport, readonly string[]>> = { unix: ['socket'], tcp: [], tls: [], ssh: ['socket', 'keyfile'] };

/** Parameters that the daemon gets to see. `host` tells apart machines that are reached by the same path; libvirt passes over it. */
const DRIVER_PARAMETERS = new Set(['host']);

/** All of these go to ssh's arguments: hence no '-' in front, and nothing that a shell or ssh's configuration could read more into. */
const HOST_NAME = /^[a-z0-9_][a-z0-9_.-]*$/i;
const USER_NAME = /^[a-z0-9_][a-z0-9_.@+-]*$/i;

/**
 * Takes a libvirt URI apart. Without `socket=`, a UNIX socket is the system daemon's, or the session
 * daemon's for `…:///session`; a host without a transport means TLS. Throws InvalidRequest for what is
 * no libvirt URI or has a parameter that means nothing here, and Unsupported for a transport that this
 * client lacks.
 * Source: https://libvirt.org/uri.html
 */
export function parseUri(uri: string): LibvirtAddress {
  if (hasControls(uri) || uri.includes(' ')) throw new InvalidRequest('A libvirt URI has no spaces and no control characters: encode them.');
  const match = /^([a-z][a-z0-9]*)(?:\+([a-z0-9]+))?:\/\//i.exec(uri);
  const url = match && URL.parse(uri);
  if (!match || !url || url.hash !== '') throw new InvalidRequest('This is not a libvirt URI: driver[+transport]://[host]/path is.');
  const [, driver = '', named] = match;
  const transport = transportOf(named, url);
  const way = takeParameters(url, transport);
  const driverUri = `${driver}://${url.pathname}${url.search}`;

  if (transport === 'unix') {
    if (url.host !== '') throw new InvalidRequest('A URI with the transport unix cannot name a host.');
    return { transport, driverUri, socketPath: way.socket ?? (url.pathname === '/session' ? sessionSocket() : systemSocket()) };
  }
  const host = hostOf(url, transport);
  const port = url.port === '' ? undefined : Number(url.port);
  if (port === 0) throw new InvalidRequest('There is no port 0.');
  if (url.password !== '') throw new InvalidRequest('A libvirt URI carries no password.');
  const user = url.username === '' ? undefined : decode(url.username);
  if (transport !== 'ssh') {
    if (user !== undefined) throw new InvalidRequest(`A URI with the transport ${transport} cannot name a user; ssh can.`);
    return { transport, driverUri, host, port: port ?? PORTS[transport] };
  }
  if (user !== undefined && !USER_NAME.test(user)) throw new InvalidRequest('The name of the user in the URI is none.');
  return {
    transport,
    driverUri,
    host,
    ...(port !== undefined && { port }),
    ...(user !== undefined && { user }),
    ...(way.keyfile !== undefined && { keyfile: way.keyfile }),
    ...(way.socket !== undefined && { socketPath: way.socket }),
  };
}

function transportOf(named: string | undefined, url: URL): Transport {
  if (named === undefined) return url.host === '' ? 'unix' : 'tls'; // libvirt's rule
  if (Object.hasOwn(WAY_PARAMETERS, named)) return named as Transport; // just looked up
  if (OTHER_TRANSPORTS.has(named)) {
    throw new Unsupported('transport', `The transport ${named} is not supported; unix, tcp, tls and ssh are.`);
  }
  throw new InvalidRequest(`There is no libvirt transport ${named}.`);
}

/** Takes out of the URL what concerns the way to the daemon. */
function takeParameters(url: URL, transport: Transport): { socket?: string; keyfile?: string } {
  const way: Record<string, string> = {};
  const known = WAY_PARAMETERS[transport];
  for (const [name, value] of [...url.searchParams]) {
    if (DRIVER_PARAMETERS.has(name)) continue;
    if (!known.includes(name)) {
      const others = known.length > 0 ? `; with ${transport} it may be ${known.join(' or ')}` : '';
      throw new InvalidRequest(`The parameter ${JSON.stringify(name)} means nothing in a libvirt URI here${others}.`);
    }
    if (Object.hasOwn(way, name)) throw new InvalidRequest(`The parameter ${name} is there twice.`);
    if (!value.startsWith('/') || hasControls(value)) throw new InvalidRequest(`The parameter ${name} is no absolute path.`);
    way[name] = value;
    url.searchParams.delete(name);
  }
  return way;
}

function hostOf(url: URL, transport: Transport): string {
  const { hostname } = url;
  if (hostname === '') throw new InvalidRequest(`A URI with the transport ${transport} names a host.`);
  if (hostname.startsWith('[')) return hostname.slice(1, -1); // an IPv6 address, which the URL parser has checked
  if (!HOST_NAME.test(hostname)) throw new InvalidRequest('The host in the URI is neither a name nor an address.');
  return hostname;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new InvalidRequest('A percent sign in the URI encodes nothing.', { cause });
  }
}

function hasControls(text: string): boolean {
  for (const character of text) if (character < ' ' || character === '\u007f') return true;
  return false;
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
