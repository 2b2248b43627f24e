import { setTimeout as delay } from 'node:timers/promises';
import type { HostAgent } from '@novacron/agent';
import type { DomainError, VmId } from '@novacron/core';
import { MIGRATE, type Connection, type DomainRef, type MigrationParams } from '@novacron/libvirt';
import { GaveUp } from '@novacron/operations';
import type { Logger } from 'pino';
import type { Database, MigrationRow } from '../database.ts';
import type { DomainNeeds } from '../domain-needs.ts';
import { readJob, unlessOver } from '../guest.ts';
import { readStats, type JobStats } from '../job-stats.ts';
import type { ProgressWriter } from '../progress.ts';
import { FIRST_MIB_PER_SECOND, isEncrypted, mibPerSecond, UNLIMITED_MIB_PER_SECOND } from '../rules.ts';
import { lastSeenOnTarget } from '../target-view.ts';

/** How often libvirt is asked how far it is: until the guest's memory may be sent, until it is, and then. */
const LOOK_MS = { closed: 50, open: 100, steady: 250 } as const;
/** How long the target may take to show the incoming domain; and once the first, slow memory is on its way. */
const GATE_MS = { atAll: 10_000, sending: 3_000 } as const;

export interface Mover {
  agent: HostAgent;
  database: Database;
  logger: Logger;
  row: MigrationRow;
  vmId: VmId;
  targetUri: string;
  progress: ProgressWriter;
  /** Should it end, with the guest where it was? */
  isCancelled(): boolean;
  /** Throws when the guest is another's to move. */
  requireOurs(): void;
  /** Was the guest held for the last of its memory? From then on it may run on the target. */
  wasHeld: boolean;
  /** How it went as a whole, once libvirt has said so. */
  completed: JobStats | null;
}

/** How libvirt is to move it. */
export function flagsOf({ mode, copiedDisks, needs }: MigrationRow, targetUri: string): number {
  const common = MIGRATE.PERSIST_DEST | MIGRATE.UNDEFINE_SOURCE;
  if (mode === 'OFFLINE') return common | MIGRATE.OFFLINE;
  const { disks } = needs as unknown as DomainNeeds; // written by check-source
  const shares = disks.some((disk) => !copiedDisks.includes(disk));
  return (
    common |
    MIGRATE.LIVE |
    MIGRATE.ABORT_ON_ERROR |
    MIGRATE.AUTO_CONVERGE | // QEMU slows the guest down only once it does not converge
    (copiedDisks.length > 0 ? MIGRATE.NON_SHARED_DISK : 0) |
    (shares ? MIGRATE.UNSAFE : 0) | // that both hosts see this storage is proven, whatever libvirt knows of its file system; cache='none' is ours
    (isEncrypted(targetUri) ? MIGRATE.TLS : 0)
  );
}

/**
 * Has libvirt move the guest, and follows it to the end. `announce` writes down that it may be under way, before it is.
 * @returns why it did not succeed; null: libvirt says that it did
 */
export async function attempt(mover: Mover, domain: DomainRef, announce: () => Promise<void>): Promise<unknown> {
  const { agent, row, targetUri } = mover;
  const own = await agent.openConnection();
  try {
    const [params] = await Promise.all([listen(mover, own).then(() => beginSlowly(own, row, domain)), announce()]);
    const migration = { destinationUri: targetUri, flags: flagsOf(row, targetUri), params };
    const ended = own.domains.migrateToUri(domain, migration, { deadlineMs: Infinity }).then(
      () => null,
      (error: unknown) => error,
    );
    return await follow(mover, domain, ended);
  } finally {
    await own.close();
  }
}

/**
 * Memory is sent at the domain's own speed, which is low until the target was seen to be the right one: libvirt reads it when it
 * begins to send, so whoever is seen before that loses no time. Disks keep the speed that they began with, so it is the right one.
 * Source: src/qemu/qemu_migration.c, qemuMigrationSrcRun
 */
async function beginSlowly(own: Connection, { mode, copiedDisks, bandwidthBytesPerSecond }: MigrationRow, domain: DomainRef): Promise<MigrationParams> {
  if (mode === 'OFFLINE') return {};
  if (copiedDisks.length > 0) return { bandwidthMiBps: mibPerSecond(bandwidthBytesPerSecond), migrateDisks: copiedDisks };
  await own.domains.setMigrationMaxSpeed(domain, FIRST_MIB_PER_SECOND);
  return {};
}

/** For whoever moves the guest next, if this one stayed: libvirt keeps a domain's speed until it is restarted. */
export const forgetSpeed = (connection: Connection, domain: DomainRef): Promise<void> =>
  unlessOver(connection.domains.setMigrationMaxSpeed(domain, UNLIMITED_MIB_PER_SECOND));

/** Follows a migration that an agent before us began. Resolves when it is not under way any more. */
export async function adopt(mover: Mover, domain: DomainRef): Promise<void> {
  const own = await mover.agent.openConnection();
  try {
    await listen(mover, own);
    await follow(mover, domain, null);
  } finally {
    await own.close();
  }
}

/** What only events tell: that the guest is held for the last of its memory, and how it went as a whole. */
async function listen(mover: Mover, own: Connection): Promise<void> {
  await own.onDomainEvent('lifecycle', ({ domain, event, detail }) => {
    if (domain.uuid !== mover.vmId || event !== 'suspended' || detail !== 'migrated') return;
    mover.wasHeld = true;
    mover.progress.hold('SWITCHING');
  });
  await own.onDomainEvent('job-completed', ({ domain, params }) => {
    if (domain.uuid === mover.vmId) mover.completed = readStats(params);
  });
}

/** Until `ended`, or, of an adopted one, until libvirt speaks of it no more. */
async function follow(mover: Mover, domain: DomainRef, ended: Promise<unknown> | null): Promise<unknown> {
  const { agent, row, progress } = mover;
  const gate = { isOpen: row.mode === 'OFFLINE', closesAt: performance.now() + GATE_MS.atAll, isWide: false };
  let refusal: DomainError | null = null;
  const over = ended?.then((error) => ({ error }));
  for (;;) {
    mover.requireOurs();
    const cancelled = mover.isCancelled();
    if (cancelled) progress.cancel();
    try {
      const connection = await agent.connection();
      if (!cancelled && refusal === null && !gate.isOpen) refusal = await watchGate();
      if (cancelled || refusal !== null) await unlessOver(connection.domains.abortJob(domain)); // at each look: it may not have begun yet
      const goesOn = await measure(connection);
      if (!goesOn && ended === null) return null;
    } catch (error) {
      if (ended === null) throw error;
      mover.logger.debug({ err: error, migrationId: row.id }, 'the migration could not be looked at; trying again');
    }
    const pause = delay(LOOK_MS[gate.isWide || cancelled || row.mode === 'OFFLINE' ? 'steady' : gate.isOpen ? 'open' : 'closed']);
    const answer = await (over ? Promise.race([over, pause]) : pause);
    if (answer) return refusal ?? answer.error;
  }

  /** Before memory is sent, the target's own connection must show the incoming domain. */
  async function watchGate(): Promise<DomainError | null> {
    const seen = await lastSeenOnTarget(mover.database, row.id);
    gate.isOpen = seen === 'INCOMING' || seen === 'ARRIVED';
    if (gate.isOpen || performance.now() < gate.closesAt) return null;
    return new GaveUp('UNAVAILABLE', "The target's own libvirt does not show the VM that comes: its migrationUri leads elsewhere, or its agent is away.");
  }

  /** @returns false when no migration of it is under way */
  async function measure(connection: Connection): Promise<boolean> {
    const stats = await readJob(connection, domain);
    if (!stats) return false;
    if (!gate.isOpen) {
      if (stats.memory.total > 0) gate.closesAt = Math.min(gate.closesAt, performance.now() + GATE_MS.sending);
      if (stats.disks.total > 0) await unlessOver(connection.domains.setMigrationMaxSpeed(domain, FIRST_MIB_PER_SECOND));
    } else if (row.mode === 'LIVE' && !gate.isWide) {
      // libvirt may have read the low speed just before: once more when it sends
      await unlessOver(connection.domains.setMigrationMaxSpeed(domain, mibPerSecond(row.bandwidthBytesPerSecond)));
      gate.isWide = stats.memory.total > 0;
    }
    if (gate.isOpen) progress.measure(stats);
    return true;
  }
}
