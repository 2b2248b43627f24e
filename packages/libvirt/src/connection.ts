import { dial } from './dial.ts';
import type { DomainEventKind, DomainEvents } from './domain-event.ts';
import { DOMAIN_EVENTS } from './domain-event.ts';
import { Domains } from './domains.ts';
import type { CloseReason } from './errors.ts';
import { InvalidRequest, ProtocolError, Unsupported } from './errors.ts';
import { EventFeed } from './event-feed.ts';
import type { EventSubscription } from './event-feed.ts';
import { AUTH_TYPE, DRIVER_FEATURE } from './flags.ts';
import type { NetworkEvent, PoolEvent } from './host-event.ts';
import { NETWORK_EVENT, POOL_EVENTS } from './host-event.ts';
import type { KeepAliveOptions } from './keep-alive.ts';
import { NetworkFilters } from './network-filters.ts';
import { Networks } from './networks.ts';
import { HostNode } from './node.ts';
import { Pools } from './pools.ts';
import { PROCEDURES } from './procedures.ts';
import type { CallOptions } from './rpc-channel.ts';
import { RpcChannel } from './rpc-channel.ts';
import { Secrets } from './secrets.ts';
import type { PkiFiles } from './tls-socket.ts';
import { type LibvirtAddress, parseUri } from './uri.ts';
import { Volumes } from './volumes.ts';

/** How to connect. */
export interface ConnectOptions {
  /** A libvirt URI, such as `qemu:///system`, `qemu+tls://hv1.example.org/system` or `qemu+ssh://root@hv1/system`. */
  uri: string;
  /** The daemon's UNIX socket; default: the one that the URI names or implies. Only for a URI without a host. */
  socketPath?: string;
  /** For TLS: whom we trust and who we are. Default: libvirt's own files, below /etc/pki. */
  pki?: PkiFiles;
  /**
   * Calls on the wire at once; further ones wait in order. Default 4: a daemon takes 5 requests of one
   * client at a time (max_client_requests in libvirtd.conf) and stops reading after that, pings too.
   */
  maxInFlight?: number;
  /** How long a call may take, waiting included. Default 30000. */
  defaultDeadlineMs?: number;
  /** Our own pings. Default: every 5000 ms, lost after 5 without answer. `false` sends none and asks the daemon for none. */
  keepAlive?: KeepAliveOptions | false;
  /** Ends the attempt to connect; connect() then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** A version as libvirt counts them. */
export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly release: number;
}

/** What the hypervisor could give a domain; each part left out is the driver's default. */
export interface DomainCapabilitiesQuery {
  emulator?: string;
  arch?: string;
  machine?: string;
  virtType?: string;
}

/**
 * How a CPU compares with the one it is compared with: `incompatible` has something that one lacks or
 * is of another kind, `identical` is the same, `superset`: that one has more than is asked for.
 */
export type CpuComparison = 'incompatible' | 'identical' | 'superset';

/** Default for a call's deadline. */
const DEFAULT_DEADLINE_MS = 30_000;
/** Default for calls on the wire at once: one less than the daemon's max_client_requests, so that it still reads pings. */
const DEFAULT_MAX_IN_FLIGHT = 4;
/** What libvirt's own clients use (virsh -k, -K). */
const DEFAULT_KEEP_ALIVE: KeepAliveOptions = { intervalMs: 5_000, count: 5 };
/** How long close() waits for the daemon's word before it ends the socket. */
const CLOSE_DEADLINE_MS = 1_000;

/** One open connection to one libvirt driver. Made by {@link connect}. */
export class Connection implements AsyncDisposable {
  readonly domains: Domains;
  readonly pools: Pools;
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly filters: NetworkFilters;
  readonly secrets: Secrets;
  readonly node: HostNode;
  readonly #channel: RpcChannel;
  readonly #events: EventFeed;

  /** @internal */
  constructor(channel: RpcChannel) {
    this.#channel = channel;
    this.#events = new EventFeed(channel);
    this.domains = new Domains(channel);
    this.pools = new Pools(channel);
    this.volumes = new Volumes(channel);
    this.networks = new Networks(channel);
    this.filters = new NetworkFilters(channel);
    this.secrets = new Secrets(channel);
    this.node = new HostNode(channel);
  }

  /** Resolves, never rejects, when the connection has ended, with the reason. */
  get closed(): Promise<CloseReason> {
    return this.#channel.closed;
  }

  /**
   * Calls `listener` for each event of this kind, of every domain, from the moment the promise
   * resolves. What a listener throws becomes an uncaught exception; it does not harm the connection.
   */
  onDomainEvent<Kind extends DomainEventKind>(
    kind: Kind,
    listener: (event: DomainEvents[Kind]) => void,
  ): Promise<EventSubscription> {
    return this.#events.subscribe(DOMAIN_EVENTS[kind], listener);
  }

  /** Like onDomainEvent, for the events of every virtual network. */
  onNetworkEvent(listener: (event: NetworkEvent) => void): Promise<EventSubscription> {
    return this.#events.subscribe(NETWORK_EVENT, listener);
  }

  /** Like onDomainEvent, for the events of every storage pool. */
  async onPoolEvent(listener: (event: PoolEvent) => void): Promise<EventSubscription> {
    const lifecycle = await this.#events.subscribe(POOL_EVENTS.lifecycle, listener);
    try {
      const refresh = await this.#events.subscribe(POOL_EVENTS.refresh, listener);
      return { close: async () => void (await Promise.all([lifecycle.close(), refresh.close()])) };
    } catch (error) {
      await lifecycle.close();
      throw error;
    }
  }

  /** The host's capabilities, as XML; the host's UUID is in it. */
  async capabilities(options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.connectGetCapabilities, undefined, options)).xml;
  }

  /** What a domain could have here, as XML. */
  async domainCapabilities(query: DomainCapabilitiesQuery = {}, options?: CallOptions): Promise<string> {
    const { emulator = null, arch = null, machine = null, virtType = null } = query;
    const args = { emulator, arch, machine, virtType, flags: 0 };
    return (await this.#channel.call(PROCEDURES.connectGetDomainCapabilities, args, options)).xml;
  }

  /** What is asked of a CPU (`<cpu>`), compared with the host's own CPU. `flags`: COMPARE_CPU. */
  async compareCpu(xml: string, flags = 0, options?: CallOptions): Promise<CpuComparison> {
    return toComparison((await this.#channel.call(PROCEDURES.connectCompareCpu, { xml, flags }, options)).result);
  }

  /** What is asked of a CPU (`<cpu>`), compared with what the hypervisor can give on this host. `flags`: COMPARE_CPU. */
  async compareHypervisorCpu(
    query: DomainCapabilitiesQuery & { xml: string },
    flags = 0,
    options?: CallOptions,
  ): Promise<CpuComparison> {
    const { emulator = null, arch = null, machine = null, virtType = null, xml } = query;
    const args = { emulator, arch, machine, virtType, xml, flags };
    return toComparison((await this.#channel.call(PROCEDURES.connectCompareHypervisorCpu, args, options)).result);
  }

  /** The hypervisor's version. */
  async version(options?: CallOptions): Promise<Version> {
    return toVersion((await this.#channel.call(PROCEDURES.connectGetVersion, undefined, options)).version);
  }

  /** The daemon's libvirt version. */
  async libVersion(options?: CallOptions): Promise<Version> {
    return toVersion((await this.#channel.call(PROCEDURES.connectGetLibVersion, undefined, options)).version);
  }

  /** The driver's name: `QEMU`, `TEST`, `LXC`. */
  async type(options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.connectGetType, undefined, options)).type;
  }

  async hostname(options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.connectGetHostname, undefined, options)).hostname;
  }

  /** The driver's URI as the daemon calls it. */
  async uri(options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.connectGetUri, undefined, options)).uri;
  }

  /** Ends the connection; idempotent. Calls still open reject with ConnectionLost; resolves when the socket is closed. */
  async close(): Promise<void> {
    await this.#channel.close(PROCEDURES.connectClose, CLOSE_DEADLINE_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Connects to a daemon, authenticates, agrees on keep-alive and opens the driver.
 * Rejects with ConnectionLost (no daemon there), LibvirtError (it refused), DeadlineExceeded,
 * Unsupported, InvalidRequest, or the signal's reason.
 * Source of the order: libvirt 9.0.0 src/remote/remote_driver.c, doRemoteOpen.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const address = addressOf(options);
  const { defaultDeadlineMs: deadlineMs = DEFAULT_DEADLINE_MS, maxInFlight = DEFAULT_MAX_IN_FLIGHT } = options;
  if (maxInFlight < 1) throw new InvalidRequest(`maxInFlight is ${maxInFlight}: nothing could ever be sent.`);
  const socket = await dial(address, { deadlineMs, signal: options.signal, pki: options.pki });
  const channel = new RpcChannel(socket, { maxInFlight, defaultDeadlineMs: deadlineMs });
  const abort = () => channel.end({ kind: 'closed', message: 'the attempt to connect was aborted' });
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    await authenticate(channel);
    if (options.keepAlive !== false) await startKeepAlive(channel, options.keepAlive ?? DEFAULT_KEEP_ALIVE);
    await channel.call(PROCEDURES.connectOpen, { name: address.driverUri, flags: 0 });
    return new Connection(channel);
  } catch (error) {
    channel.end({ kind: 'closed', message: 'the handshake failed' });
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}

/** Where these options lead to. Throws as {@link parseUri} does. */
export function addressOf({ uri, socketPath }: Pick<ConnectOptions, 'uri' | 'socketPath'>): LibvirtAddress {
  const address = parseUri(uri);
  if (socketPath === undefined) return address;
  if (address.transport !== 'unix') throw new InvalidRequest(`A socketPath means nothing where the transport is ${address.transport}.`);
  return { ...address, socketPath };
}

async function authenticate(channel: RpcChannel): Promise<void> {
  const { types } = await channel.call(PROCEDURES.authList, undefined);
  if (types.length === 0 || types.includes(AUTH_TYPE.NONE)) return;
  if (!types.includes(AUTH_TYPE.POLKIT)) {
    throw new Unsupported('authentication', `The daemon wants an authentication that this client lacks (${types.join(', ')}).`);
  }
  await channel.call(PROCEDURES.authPolkit, undefined);
}

/** Asking for the feature also tells the daemon that it may ping us. An old daemon without it is left in peace. */
async function startKeepAlive(channel: RpcChannel, keepAlive: KeepAliveOptions): Promise<void> {
  const feature = DRIVER_FEATURE.PROGRAM_KEEPALIVE;
  const { supported } = await channel.call(PROCEDURES.connectSupportsFeature, { feature });
  if (supported !== 0) channel.startKeepAlive(keepAlive);
}

/** Source: libvirt's virGetVersion: major * 1,000,000 + minor * 1,000 + release. */
function toVersion(number: number): Version {
  return {
    major: Math.floor(number / 1_000_000),
    minor: Math.floor(number / 1_000) % 1_000,
    release: number % 1_000,
  };
}

/** Source: libvirt 9.0.0 include/libvirt/libvirt-host.h, virCPUCompareResult; the position is libvirt's number. */
function toComparison(result: number): CpuComparison {
  const comparison = (['incompatible', 'identical', 'superset'] as const)[result];
  if (!comparison) throw new ProtocolError(`${result} is no result of a comparison of CPUs.`);
  return comparison;
}
