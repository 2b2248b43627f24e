import { setTimeout as delay } from 'node:timers/promises';
import type { HostAgent } from '@novacron/agent';
import type { DomainError, VmId } from '@novacron/core';
import { MIGRATE, type Connection, type DomainRef } from '@novacron/libvirt';
import { GaveUp } from '@novacron/operations';
import type { Logger } from 'pino';
import type { Database, MigrationRow } from '../database.ts';
import type { DomainNeeds } from '../domain-needs.ts';
import { readJob, unlessOver } from '../guest.ts';
import { readStats } from '../job-stats.ts';
import type { ProgressWriter } from '../progress.ts';
import { FIRST_MIB_PER_SECOND, isEncrypted, mibPerSecond } from '../rules.ts';
import { lastSeenOnTarget } from '../target-view.ts';

/** How often libvirt is asked how far it is; and, before the guest's memory may be sent, whether it may. */
const LOOK_MS = { steady: 250, begun: 15 } as const;
/** How long the target may take to show the incoming domain; and once the first, slow memory is on its way. */
const GATE_MS = { atAll: 10_000, sending: 3_000 } as const;
/** The speed is set again at so many looks after memory began to be sent: libvirt sets its own when it begins. */
const SET_SPEED = 3;

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
  /** How long the guest stood still, once libvirt has said so. */
  downtimeMs: number | null;
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

/** Has libvirt move the guest, and follows it to the end. @returns why it did not succeed; null: libvirt says that it did */
export async function attempt(mover: Mover, domain: DomainRef): Promise<unknown> {
  const { agent, row, targetUri } = mover;
  const copies = row.copiedDisks.length > 0;
  // disks keep the speed that they began with, so it must be the right one; memory is held back once it can be
  const first = copies ? mibPerSecond(row.bandwidthBytesPerSecond) : FIRST_MIB_PER_SECOND;
  const own = await agent.openConnection();
  try {
    const migration = {
      destinationUri: targetUri,
      flags: flagsOf(row, targetUri),
      params: row.mode === 'OFFLINE' ? {} : { bandwidthMiBps: first, ...(copies ? { migrateDisks: row.copiedDisks } : {}) },
    };
    await listen(mover, own);
    const ended = own.domains.migrateToUri(domain, migration, { deadlineMs: Infinity }).then(
      () => null,
      (error: unknown) => error,
    );
    return await follow(mover, domain, ended);
  } finally {
    await own.close();
  }
}

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

/** What only events tell: that the guest is held for the last of its memory, and how long it was. */
async function listen(mover: Mover, own: Connection): Promise<void> {
  await own.onDomainEvent('lifecycle', ({ domain, event, detail }) => {
    if (domain.uuid !== mover.vmId || event !== 'suspended' || detail !== 'migrated') return;
    mover.wasHeld = true;
    mover.progress.hold('SWITCHING');
  });
  await own.onDomainEvent('job-completed', ({ domain, params }) => {
    if (domain.uuid === mover.vmId) mover.downtimeMs = readStats(params).downtimeMs;
  });
}

/** Until `ended`, or, of an adopted one, until libvirt speaks of it no more. */
async function follow(mover: Mover, domain: DomainRef, ended: Promise<unknown> | null): Promise<unknown> {
  const { agent, row, progress } = mover;
  const gate = { isOpen: row.mode === 'OFFLINE', closesAt: performance.now() + GATE_MS.atAll, speedSet: 0 };
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
    const isSteady = gate.isOpen && gate.speedSet >= SET_SPEED;
    const pause = delay(isSteady || cancelled || row.mode === 'OFFLINE' ? LOOK_MS.steady : LOOK_MS.begun);
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
    } else if (row.mode === 'LIVE' && gate.speedSet < SET_SPEED) {
      await unlessOver(connection.domains.setMigrationMaxSpeed(domain, mibPerSecond(row.bandwidthBytesPerSecond)));
      if (stats.memory.total > 0) gate.speedSet += 1;
    }
    if (gate.isOpen) progress.measure(stats);
    return true;
  }
}
