import { DRIVER_FEATURE, LIST_NETWORKS } from './flags.ts';
import type { NETWORK_SECTION, NETWORK_UPDATE } from './flags.ts';
import { PROCEDURES } from './procedures.ts';
import type { CallOptions, RpcChannel } from './rpc-channel.ts';
import type { AddressType, NetworkRef } from './structures.ts';

/** One change of one section of a network's definition. */
export interface NetworkUpdate {
  readonly command: (typeof NETWORK_UPDATE)[keyof typeof NETWORK_UPDATE];
  readonly section: (typeof NETWORK_SECTION)[keyof typeof NETWORK_SECTION];
  /** Which of several parents (`<ip>` of IP_DHCP_HOST, say); default -1: libvirt finds it. */
  readonly parentIndex?: number;
  /** The element that is added, that replaces its like, or by whose attributes the one to delete is found. */
  readonly xml: string;
  /** AFFECT; default: the running network if it runs, else its definition. */
  readonly flags?: number;
}

/** An address that a network's DHCP server gave away. */
export interface DhcpLease {
  /** The network's bridge. */
  readonly interface: string;
  /** Seconds since 1970; 0 when it does not expire. */
  readonly expiresAtSeconds: number;
  readonly type: AddressType;
  readonly mac: string | null;
  /** IPv6 only. */
  readonly iaid: string | null;
  readonly address: string;
  readonly prefix: number;
  readonly hostname: string | null;
  readonly clientId: string | null;
}

/** The virtual networks of one connection. Every method rejects with a ClientError; a network that is gone is NO_NETWORK. */
export class Networks {
  readonly #channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.#channel = channel;
  }

  /** All networks, or only those that are active, or that are not; at most 16384. */
  async list(filter: { active?: boolean } = {}, options?: CallOptions): Promise<NetworkRef[]> {
    const flags = filter.active === undefined ? 0 : filter.active ? LIST_NETWORKS.ACTIVE : LIST_NETWORKS.INACTIVE;
    return (await this.#channel.call(PROCEDURES.connectListAllNetworks, { needResults: 1, flags }, options)).networks;
  }

  /** Rejects with NO_NETWORK when there is none. */
  async lookupByName(name: string, options?: CallOptions): Promise<NetworkRef> {
    return (await this.#channel.call(PROCEDURES.networkLookupByName, { name }, options)).network;
  }

  /** Rejects with NO_NETWORK when there is none. */
  async lookupByUuid(uuid: string, options?: CallOptions): Promise<NetworkRef> {
    return (await this.#channel.call(PROCEDURES.networkLookupByUuid, { uuid }, options)).network;
  }

  /** Defines a persistent network, or redefines the one with the same UUID and name. It is not started. */
  async define(xml: string, options?: CallOptions): Promise<NetworkRef> {
    return (await this.#channel.call(PROCEDURES.networkDefineXml, { xml }, options)).network;
  }

  /** Starts a defined network; OPERATION_INVALID when it is active. */
  start(network: NetworkRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.networkCreate, { network }, options);
  }

  /** Stops a network; its definition stays, guests on it lose their link. OPERATION_INVALID when it is not active. */
  destroy(network: NetworkRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.networkDestroy, { network }, options);
  }

  /** Removes the definition; a running network becomes transient. */
  undefine(network: NetworkRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.networkUndefine, { network }, options);
  }

  /** Whether the daemon starts the network when it starts. Idempotent. */
  setAutostart(network: NetworkRef, autostart: boolean, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.networkSetAutostart, { network, autostart }, options);
  }

  async isActive(network: NetworkRef, options?: CallOptions): Promise<boolean> {
    return (await this.#channel.call(PROCEDURES.networkIsActive, { network }, options)).active;
  }

  /** Changes one section without a restart of the network. Not idempotent: what is there cannot be added again. */
  async update(network: NetworkRef, change: NetworkUpdate, options?: CallOptions): Promise<void> {
    const { command, section, parentIndex = -1, xml, flags = 0 } = change;
    // Daemons before 7.2 take these two the wrong way round (libvirt 9.0.0 src/libvirt-network.c, virNetworkUpdate).
    const feature = DRIVER_FEATURE.NETWORK_UPDATE_HAS_CORRECT_ORDER;
    const { supported } = await this.#channel.call(PROCEDURES.connectSupportsFeature, { feature }, options);
    const order = supported === 0 ? { command: section, section: command } : { command, section };
    await this.#channel.call(PROCEDURES.networkUpdate, { network, ...order, parentIndex, xml, flags }, options);
  }

  /** The network's XML. `flags`: NETWORK_XML. */
  async xml(network: NetworkRef, flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.networkGetXmlDesc, { network, flags }, options)).xml;
  }

  /** The name of the host's bridge; INTERNAL_ERROR for a network without one. */
  async bridgeName(network: NetworkRef, options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.networkGetBridgeName, { network }, options)).name;
  }

  /** Leases that have not expired: all, or those of one MAC address. */
  async dhcpLeases(network: NetworkRef, mac: string | null = null, options?: CallOptions): Promise<DhcpLease[]> {
    const args = { network, mac, needResults: 1, flags: 0 };
    return (await this.#channel.call(PROCEDURES.networkGetDhcpLeases, args, options)).leases;
  }
}
