import type { HostId } from '@novacron/core';
import type { LibvirtSession } from '@novacron/libvirt';

/** The one process that speaks to a host's libvirt, as long as it holds the host's lease. */
export interface HostAgent {
  readonly host: { readonly id: HostId; readonly name: string; readonly uri: string };
  /** The lease's epoch: grows with every new holder, so that what an older one reports can be refused. */
  readonly epoch: number;
  /** Reconnects by itself; tells when it is connected again, so that its users re-read. */
  readonly session: LibvirtSession;
  /** Aborted when the lease is lost or the agent stops. */
  readonly signal: AbortSignal;
}

/** What a service runs beside a host: ended with the agent. */
export interface HostAttachment {
  close(): Promise<void>;
}
