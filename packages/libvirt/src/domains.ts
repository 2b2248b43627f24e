import type { Duplex } from 'node:stream';
import type { DomainState } from './domain-state.ts';
import { describeState } from './domain-state.ts';
import type { DomainJob } from './domain-job.ts';
import { describeJob } from './domain-job.ts';
import type { AddressSource, PowerMode, StatsGroup } from './flags.ts';
import {
  ADDRESS_SOURCE,
  BLOCK_RESIZE,
  CONSOLE,
  JOB_STATS,
  LIST_DOMAINS,
  METADATA_TYPE,
  MIGRATE,
  POWER_MODE,
  START,
  STATS_GROUP,
} from './flags.ts';
import { LIMIT } from './limits.ts';
import type { Migration } from './migration.ts';
import { migrationParameters } from './migration.ts';
import { PROCEDURES } from './procedures.ts';
import type { CallOptions, RpcChannel } from './rpc-channel.ts';
import type { AddressType, DomainRef, TypedParams } from './structures.ts';

/** Which domains `list` returns; what is left out does not narrow. */
export interface DomainFilter {
  active?: boolean;
  persistent?: boolean;
  /** Further {@link LIST_DOMAINS} flags. */
  flags?: number;
}

/** virDomainInfo. Memory in KiB; CPU time in nanoseconds, which pass 2^53 on busy guests. */
export interface DomainInfo {
  readonly state: DomainState['state'];
  readonly maxMemoryKiB: number;
  readonly memoryKiB: number;
  readonly vcpus: number;
  readonly cpuTimeNs: bigint;
}

/** The statistics of one domain, by libvirt's names: `cpu.time`, `balloon.current`, `net.0.rx.bytes`. */
export interface DomainStats {
  readonly domain: DomainRef;
  readonly params: TypedParams;
}

/** virDomainBlockInfo: a disk of a domain, in bytes. */
export interface BlockInfo {
  /** What the guest sees. */
  readonly capacity: number;
  /** What has been written of it. */
  readonly allocation: number;
  /** What its file or device takes on the host. */
  readonly physical: number;
}

/** A network interface of a guest and its addresses. */
export interface InterfaceAddresses {
  /** As the source of the addresses calls it: the host's `vnet0`, or the guest's `eth0`. */
  readonly name: string;
  readonly mac: string | null;
  readonly addresses: readonly { readonly type: AddressType; readonly address: string; readonly prefix: number }[];
}

/** What libvirt keeps about a domain for others: its title, its description, or an XML element of the caller's namespace. */
export type MetadataSlot =
  | { type: 'title' | 'description' }
  | { type: 'element'; uri: string; /** The namespace prefix; needed to set. */ key?: string };

/**
 * The domains of one connection. Every method rejects with a ClientError; a domain that is gone is
 * NO_DOMAIN. What happens to a domain in the wrong state is the driver's choice: QEMU's refuses to
 * start what runs (OPERATION_INVALID) and agrees to suspend what is paused; the test driver says
 * INTERNAL_ERROR to both. Read the state to know.
 */
export class Domains {
  readonly #channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.#channel = channel;
  }

  /** The domains that pass the filter, at most 16384. */
  async list(filter: DomainFilter = {}, options?: CallOptions): Promise<DomainRef[]> {
    const flags =
      (filter.flags ?? 0) |
      choose(filter.active, LIST_DOMAINS.ACTIVE, LIST_DOMAINS.INACTIVE) |
      choose(filter.persistent, LIST_DOMAINS.PERSISTENT, LIST_DOMAINS.TRANSIENT);
    const { domains } = await this.#channel.call(PROCEDURES.connectListAllDomains, { needResults: 1, flags }, options);
    return domains;
  }

  /** Rejects with NO_DOMAIN when there is none. */
  async lookupByUuid(uuid: string, options?: CallOptions): Promise<DomainRef> {
    return (await this.#channel.call(PROCEDURES.domainLookupByUuid, { uuid }, options)).dom;
  }

  /** Rejects with NO_DOMAIN when there is none. */
  async lookupByName(name: string, options?: CallOptions): Promise<DomainRef> {
    return (await this.#channel.call(PROCEDURES.domainLookupByName, { name }, options)).dom;
  }

  /** Defines a persistent domain, or redefines the one with the same UUID and name. `flags`: DEFINE. */
  async define(xml: string, flags = 0, options?: CallOptions): Promise<DomainRef> {
    return (await this.#channel.call(PROCEDURES.domainDefineXmlFlags, { xml, flags }, options)).dom;
  }

  /** Removes the definition; a running domain becomes transient. `flags`: UNDEFINE. */
  undefine(domain: DomainRef, flags = 0, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainUndefineFlags, { dom: domain, flags }, options);
  }

  /** Starts a defined domain; the answer carries its new id. `flags`: START. */
  async start(
    domain: DomainRef,
    how: { paused?: boolean; flags?: number } = {},
    options?: CallOptions,
  ): Promise<DomainRef> {
    const flags = (how.flags ?? 0) | (how.paused ? START.PAUSED : 0);
    return (await this.#channel.call(PROCEDURES.domainCreateWithFlags, { dom: domain, flags }, options)).dom;
  }

  /** Starts a transient domain: nothing is left of it when it stops. `flags`: START. */
  async createXml(
    xml: string,
    how: { paused?: boolean; flags?: number } = {},
    options?: CallOptions,
  ): Promise<DomainRef> {
    const flags = (how.flags ?? 0) | (how.paused ? START.PAUSED : 0);
    return (await this.#channel.call(PROCEDURES.domainCreateXml, { xml, flags }, options)).dom;
  }

  /** Asks the guest to shut down. That it was asked does not mean that it will: watch for `stopped`. */
  shutdown(domain: DomainRef, how: { mode?: PowerMode } = {}, options?: CallOptions): Promise<void> {
    const flags = POWER_MODE[how.mode ?? 'default'];
    return this.#channel.call(PROCEDURES.domainShutdownFlags, { dom: domain, flags }, options);
  }

  /** Asks the guest to reboot. */
  reboot(domain: DomainRef, how: { mode?: PowerMode } = {}, options?: CallOptions): Promise<void> {
    const flags = POWER_MODE[how.mode ?? 'default'];
    return this.#channel.call(PROCEDURES.domainReboot, { dom: domain, flags }, options);
  }

  /** Presses the reset button. */
  reset(domain: DomainRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainReset, { dom: domain, flags: 0 }, options);
  }

  /** Pulls the plug. The definition, if there is one, stays. `flags`: DESTROY. */
  destroy(domain: DomainRef, flags = 0, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainDestroyFlags, { dom: domain, flags }, options);
  }

  /** Stops the vCPUs; memory stays. */
  suspend(domain: DomainRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainSuspend, { dom: domain }, options);
  }

  /** Lets the vCPUs run again. */
  resume(domain: DomainRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainResume, { dom: domain }, options);
  }

  /** The state, and why. */
  async state(domain: DomainRef, options?: CallOptions): Promise<DomainState> {
    const { state, reason } = await this.#channel.call(PROCEDURES.domainGetState, { dom: domain, flags: 0 }, options);
    return describeState(state, reason);
  }

  async info(domain: DomainRef, options?: CallOptions): Promise<DomainInfo> {
    const info = await this.#channel.call(PROCEDURES.domainGetInfo, { dom: domain }, options);
    return { ...info, state: describeState(info.state, 0).state };
  }

  /** The domain's XML. `flags`: XML. */
  async xml(domain: DomainRef, flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.domainGetXmlDesc, { dom: domain, flags }, options)).xml;
  }

  /**
   * Statistics of the given domains (none given: all) in one call. No groups: all that the hypervisor
   * has. `flags`: STATS, and LIST_DOMAINS as filters while no domain is given.
   */
  async stats(
    domains: readonly DomainRef[] = [],
    groups: readonly StatsGroup[] = [],
    flags = 0,
    options?: CallOptions,
  ): Promise<DomainStats[]> {
    const stats = groups.reduce((bits, group) => bits | STATS_GROUP[group], 0);
    const args = { doms: [...domains], stats, flags: flags >>> 0 }; // bit 31 makes it negative
    return (await this.#channel.call(PROCEDURES.connectGetAllDomainStats, args, options)).records;
  }

  /** Sets, or with null removes, a piece of metadata. `flags`: AFFECT. */
  setMetadata(
    domain: DomainRef,
    slot: MetadataSlot,
    metadata: string | null,
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    const type = METADATA_TYPE[slot.type];
    const { key = null, uri = null } = slot.type === 'element' ? slot : {};
    return this.#channel.call(PROCEDURES.domainSetMetadata, { dom: domain, type, metadata, key, uri, flags }, options);
  }

  /** Rejects with NO_DOMAIN_METADATA when there is none. `flags`: AFFECT. */
  async metadata(domain: DomainRef, slot: MetadataSlot, flags = 0, options?: CallOptions): Promise<string> {
    const uri = slot.type === 'element' ? slot.uri : null;
    const args = { dom: domain, type: METADATA_TYPE[slot.type], uri, flags };
    return (await this.#channel.call(PROCEDURES.domainGetMetadata, args, options)).metadata;
  }

  /**
   * Opens a console of a running domain as a Duplex: read what the guest writes, write what it reads,
   * `end()` or `destroy()` to give it back. Without `device` it is the first console.
   *
   * The protocol has no flow control per stream: a reader that does not read stops the whole
   * connection, its calls and events too. Give a console a connection of its own. A reader that takes
   * nothing for 15 s loses its console (DeadlineExceeded), and the connection goes on.
   */
  openConsole(
    domain: DomainRef,
    how: { device?: string; force?: boolean; safe?: boolean } = {},
    options?: CallOptions,
  ): Promise<Duplex> {
    const flags = (how.force ? CONSOLE.FORCE : 0) | (how.safe ? CONSOLE.SAFE : 0);
    const args = { dom: domain, device: how.device ?? null, flags };
    return this.#channel.openStream(PROCEDURES.domainOpenConsole, args, options);
  }

  /** Whether the daemon starts the domain when it starts; OPERATION_INVALID for a transient one. Idempotent. */
  setAutostart(domain: DomainRef, autostart: boolean, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainSetAutostart, { dom: domain, autostart }, options);
  }

  /** Adds a device, such as `<disk>` or `<interface>`. `flags`: AFFECT. */
  attachDevice(domain: DomainRef, xml: string, flags = 0, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainAttachDeviceFlags, { dom: domain, xml, flags }, options);
  }

  /**
   * Removes the device that this XML describes; DEVICE_MISSING when there is none. A running guest is
   * only asked to let go of it: it is gone with the event `device-removed`. `flags`: AFFECT.
   */
  detachDevice(domain: DomainRef, xml: string, flags = 0, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainDetachDeviceFlags, { dom: domain, xml, flags }, options);
  }

  /** Like detachDevice, by the alias in the domain's XML. */
  detachDeviceAlias(domain: DomainRef, alias: string, flags = 0, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainDetachDeviceAlias, { dom: domain, alias, flags }, options);
  }

  /** Changes what can be changed of a device: a CD, a link's state. `flags`: AFFECT, DEVICE. */
  updateDevice(domain: DomainRef, xml: string, flags = 0, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainUpdateDeviceFlags, { dom: domain, xml, flags }, options);
  }

  /** Gives a disk (`vda`, or its path) of a running domain another size, in bytes; the guest is told. */
  blockResize(domain: DomainRef, disk: string, sizeBytes: number, options?: CallOptions): Promise<void> {
    const args = { dom: domain, disk, size: sizeBytes, flags: BLOCK_RESIZE.BYTES };
    return this.#channel.call(PROCEDURES.domainBlockResize, args, options);
  }

  /** The size of a disk (`vda`, or its path), in bytes. */
  blockInfo(domain: DomainRef, disk: string, options?: CallOptions): Promise<BlockInfo> {
    return this.#channel.call(PROCEDURES.domainGetBlockInfo, { dom: domain, disk, flags: 0 }, options);
  }

  /** The addresses of a running guest. `agent` rejects with AGENT_UNRESPONSIVE when no agent answers. */
  async interfaceAddresses(
    domain: DomainRef,
    source: AddressSource,
    options?: CallOptions,
  ): Promise<InterfaceAddresses[]> {
    const args = { dom: domain, source: ADDRESS_SOURCE[source], flags: 0 };
    return (await this.#channel.call(PROCEDURES.domainInterfaceAddresses, args, options)).interfaces;
  }

  /** The names of libvirt's snapshots of a domain. */
  async snapshotNames(domain: DomainRef, options?: CallOptions): Promise<string[]> {
    const args = { dom: domain, max: LIMIT.snapshots, flags: 0 };
    return (await this.#channel.call(PROCEDURES.domainSnapshotListNames, args, options)).names;
  }

  /**
   * Migrates a domain, from daemon to daemon; resolves when it runs on the destination, and no more
   * here. It lasts as long as its memory takes: give it a `deadlineMs` that fits, `Infinity` for 24
   * days. Past its deadline it goes on: abortJob ends it. Aborted, it rejects with OPERATION_ABORTED.
   */
  async migrateToUri(domain: DomainRef, migration: Migration, options?: CallOptions): Promise<void> {
    const { destinationUri, params = {}, flags = 0 } = migration;
    const args = {
      dom: domain,
      destinationUri,
      params: migrationParameters(params),
      cookie: new Uint8Array(),
      flags: flags | MIGRATE.PEER2PEER,
    };
    await this.#channel.call(PROCEDURES.domainMigratePerform3Params, args, options);
  }

  /**
   * What the domain's present job does, by libvirt's names (`time_elapsed` in ms, `data_remaining` in
   * bytes). `completed`: the last job that ended instead; read it once, or `keepCompleted` keeps it.
   */
  async jobStats(
    domain: DomainRef,
    which: { completed?: boolean; keepCompleted?: boolean } = {},
    options?: CallOptions,
  ): Promise<DomainJob> {
    const flags =
      (which.completed ? JOB_STATS.COMPLETED : 0) |
      (which.keepCompleted ? JOB_STATS.COMPLETED | JOB_STATS.KEEP_COMPLETED : 0);
    return describeJob(await this.#channel.call(PROCEDURES.domainGetJobStats, { dom: domain, flags }, options));
  }

  /** Ends the domain's present job, a migration say; OPERATION_INVALID when there is none. */
  abortJob(domain: DomainRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainAbortJob, { dom: domain }, options);
  }

  /** How much of the network a migration may take, in MiB a second; a running one and those to come. */
  setMigrationMaxSpeed(domain: DomainRef, bandwidthMiBps: number, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainMigrateSetMaxSpeed, { dom: domain, bandwidthMiBps, flags: 0 }, options);
  }

  /** How long the guest may stand still at the end of a migration, in ms. */
  setMigrationMaxDowntime(domain: DomainRef, downtimeMs: number, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.domainMigrateSetMaxDowntime, { dom: domain, downtimeMs, flags: 0 }, options);
  }
}

const choose = (wanted: boolean | undefined, yes: number, no: number): number =>
  wanted === undefined ? 0 : wanted ? yes : no;
