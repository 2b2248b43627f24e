import type { HostId } from '@novacron/core';
import type { Connection, DomainEvents, LifecycleEvent, NetworkEvent, PoolEvent, RebootEvent } from '@novacron/libvirt';

/** A host as it was registered. */
export interface HostRecord {
  readonly id: HostId;
  readonly name: string;
  /** How NovaCron reaches its libvirt. */
  readonly uri: string;
  /** How other hosts reach it; null: they don't. */
  readonly migrationUri: string | null;
}

/** What a service wants to be told about a host. Called in order; must not throw. */
export interface HostWatcher {
  /** Listening has begun: read everything again, from here on events tell what changes. */
  onConnected?(connection: Connection): void;
  /** The connection is gone, for the reason given; whatever happens now goes unseen until `onConnected`. */
  onLost?(reason: string): void;
  onLifecycle?(event: LifecycleEvent): void;
  onReboot?(event: RebootEvent): void;
  onMigrationIteration?(event: DomainEvents['migration-iteration']): void;
  onJobCompleted?(event: DomainEvents['job-completed']): void;
  onNetwork?(event: NetworkEvent): void;
  onPool?(event: PoolEvent): void;
}

/** The one process that speaks to a host's libvirt, for as long as it holds the host's lease. */
export interface HostAgent {
  readonly host: HostRecord;
  /** The lease's epoch: grows with every new holder, so that what an older one reports can be refused. */
  readonly epoch: number;
  /** Aborted when the lease is lost or the agent stops: from then on the host is another's. */
  readonly signal: AbortSignal;
  /** The connection, if there is one now. */
  readonly connected: Connection | null;
  /** The connection, waited for up to `deadlineMs` (5,000). UNAVAILABLE when there is none by then. */
  connection(deadlineMs?: number): Promise<Connection>;
  /**
   * A further connection, for streams and long calls, which would hold up the common one. The caller closes it; it ends with the
   * lease. UNAVAILABLE when there is none within `deadlineMs` (5,000).
   */
  openConnection(deadlineMs?: number): Promise<Connection>;
  /**
   * A connection to another host, to read from: as this process reaches it, where it is that host's agent, too, else as hosts
   * reach each other. The caller closes it. NOT_FOUND, UNAVAILABLE.
   */
  openPeer(hostId: HostId, deadlineMs?: number): Promise<Connection>;
  /** Resolves when every service has prepared the host: what a host is to have is there, as far as it could be made. */
  readonly prepared: Promise<void>;
  /** Tells the watcher from now on, at once when connected. Returns how to stop it. */
  watch(watcher: HostWatcher): () => void;
}

/** What a service runs beside a host: ended with the agent. */
export interface HostAttachment {
  /** Resolves, never rejects, when it has looked at the host once and made there what every host is to have, as far as that could be made. */
  readonly prepared?: Promise<void>;
  close(options?: { force?: boolean }): Promise<void>;
}

/** Begins a service's work beside a host. */
export type AttachHost = (agent: HostAgent) => HostAttachment;
