import type { VmId } from '@novacron/core';
import { LibvirtError, type Connection, type DomainRef, type DomainState } from '@novacron/libvirt';
import { readRunningJob, type JobStats } from './job-stats.ts';
import { readSource, readTarget, type SourceSeen } from './outcome.ts';
import type { MigrationMode } from './rules.ts';

export interface DomainView {
  domain: DomainRef;
  state: DomainState;
}

/** The domain of a VM, and how it is; null when this host has none. */
export async function readDomain(connection: Connection, vmId: VmId): Promise<DomainView | null> {
  try {
    const domain = await connection.domains.lookupByUuid(vmId);
    return { domain, state: await connection.domains.state(domain) };
  } catch (error) {
    if (error instanceof LibvirtError && error.is('NO_DOMAIN')) return null;
    throw error;
  }
}

/** The migration of a domain away from here that is under way; null when there is none. */
export async function readJob(connection: Connection, domain: DomainRef): Promise<JobStats | null> {
  try {
    return readRunningJob(await connection.domains.jobStats(domain));
  } catch (error) {
    if (error instanceof LibvirtError && (error.is('NO_DOMAIN') || error.is('OPERATION_INVALID'))) return null; // it does not run, so it does not move
    throw error;
  }
}

export interface SourceView {
  seen: SourceSeen;
  /** Null: none here. */
  domain: DomainRef | null;
  job: JobStats | null;
}

/** What this host shows of a VM that is to leave it. */
export async function readSourceView(connection: Connection, vmId: VmId, mode: MigrationMode): Promise<SourceView> {
  const found = await readDomain(connection, vmId);
  if (found === null) return { seen: 'GONE', domain: null, job: null };
  const job = await readJob(connection, found.domain);
  // the state once more: what ended between the two questions has ended by now
  const state = job === null ? ((await readDomain(connection, vmId))?.state ?? null) : found.state;
  return { seen: readSource(state, job !== null, mode), domain: found.domain, job };
}

/** For what is to be ended: someone else may have been faster. */
export async function unlessOver(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof LibvirtError && (error.is('NO_DOMAIN') || error.is('OPERATION_INVALID')))) throw error;
  }
}

/** Removes a domain that waits for its guest; any other is left alone. @returns true when none waits there any more */
export async function removeIncoming(connection: Connection, vmId: VmId): Promise<boolean> {
  const found = await readDomain(connection, vmId);
  if (found === null || readTarget(found.state) !== 'INCOMING') return true;
  const { domain, state } = found;
  await unlessOver(state.state === 'shutoff' ? connection.domains.undefine(domain) : connection.domains.destroy(domain));
  const left = await readDomain(connection, vmId);
  return left === null || readTarget(left.state) !== 'INCOMING';
}
