import type { HostId, VmId } from '@novacron/core';
import type { Database } from './database.ts';
import type { TargetSeen } from './generated/prisma/enums.ts';

/**
 * What the agents at both ends of a migration say to each other, through its row: the target's what it sees, the source's that
 * it wants to know, and whether what waits on the target is to be removed. It is no news to anyone else. Questions have
 * numbers: what answers an older one is no answer.
 */

/** A migration to this host that is under way. */
export interface Arrival {
  vmId: VmId;
  seen: TargetSeen | null;
  /** The number of the source's last question. */
  asked: number;
  answered: number;
  isUnwanted: boolean;
}

/** The migrations to a host that have come so far that its libvirt may show something of them. */
export async function arrivalsAt(database: Database, hostId: HostId): Promise<Arrival[]> {
  const rows = await database.migration.findMany({
    where: { toHostId: hostId, finishedAt: null },
    select: { vmId: true, targetSeen: true, targetAsked: true, targetAnswered: true, targetUnwanted: true },
  });
  return rows.map(({ vmId, targetSeen, targetAsked, targetAnswered, targetUnwanted }) => ({
    vmId: vmId as VmId, // brands are added where rows come in
    seen: targetSeen,
    asked: targetAsked,
    answered: targetAnswered,
    isUnwanted: targetUnwanted,
  }));
}

/** The target's agent has looked. `answers`: the question that it had read before it did; null: nobody asked, something happened. */
export const reportTarget = (database: Database, hostId: HostId, vmId: VmId, seen: TargetSeen, answers: number | null): Promise<unknown> =>
  database.migration.updateMany({
    where: { vmId, toHostId: hostId, finishedAt: null, ...(answers === null ? {} : { targetAnswered: { lte: answers } }) },
    data: { targetSeen: seen, ...(answers === null ? {} : { targetAnswered: answers }) },
  });

/** Asks the target's agent, in place of what was known before. @returns the question's number */
export async function askTarget(database: Database, id: string): Promise<number> {
  const { targetAsked } = await database.migration.update({ where: { id }, data: { targetAsked: { increment: 1 } }, select: { targetAsked: true } });
  return targetAsked;
}

/** What the target's agent has answered to this question, or to a later one; null: nothing yet. */
export async function readTargetAnswer(database: Database, id: string, question: number): Promise<TargetSeen | null> {
  const row = await database.migration.findUnique({ where: { id }, select: { targetSeen: true, targetAnswered: true } });
  return row && row.targetAnswered >= question ? row.targetSeen : null;
}

/** Whatever the target's agent has reported last, asked or not. */
export const lastSeenOnTarget = async (database: Database, id: string): Promise<TargetSeen | null> =>
  (await database.migration.findUnique({ where: { id }, select: { targetSeen: true } }))?.targetSeen ?? null;

/** Before an attempt: nothing is known of the target, and nothing there is to be removed. */
export const UNKNOWN_TARGET = { targetSeen: null, targetUnwanted: false } as const;

/** Has the target's agent remove what waits there for a guest that does not come. */
export const dropFromTarget = (database: Database, id: string): Promise<unknown> =>
  database.migration.update({ where: { id }, data: { targetUnwanted: true } });
