import { networkSteps, storageSteps, vmsSteps } from '@novacron/contracts';
import type { HostId, MigrationId } from '@novacron/core';
import { plan, type PlannedStep } from '@novacron/operations';
import { CHECK_SOURCE, CHECK_TARGET, HOLD, MOVE } from './operations/declarations.ts';
import type { MigrationMode } from './rules.ts';

interface PlanOptions {
  migrationId: MigrationId;
  held: vmsSteps.HeldVm;
  targetHostId: HostId;
  targetUri: string;
  /** Null: it has none. */
  disks: storageSteps.HeldMigration | null;
  hasNics: boolean;
  mode: MigrationMode;
  bandwidthBytesPerSecond: bigint | null;
}

/** A migration from end to end; a VM without disks, or whose disks both hosts share, or without networks, needs fewer steps. */
export function planMigration({ migrationId, held, targetHostId, targetUri, disks, hasNics, mode, bandwidthBytesPerSecond }: PlanOptions): PlannedStep[] {
  const { vmId } = held.hold;
  const input = { migrationId, vmId };
  const source = { hostId: held.hostId };
  const target = { hostId: targetHostId };
  const isOff = mode === 'OFFLINE';
  const copyFrom = isOff ? { hostId: held.hostId, bytesPerSecond: bandwidthBytesPerSecond === null ? null : Number(bandwidthBytesPerSecond) } : null;
  return [
    plan(HOLD, input, { done: true }),
    plan(vmsSteps.HOLD, held.hold, { done: true }),
    ...(disks ? [plan(storageSteps.HOLD_MIGRATION, input, { done: true })] : []),
    plan(CHECK_SOURCE, input, source),
    plan(CHECK_TARGET, input, target),
    ...(hasNics ? [plan(networkSteps.MIGRATE_IN, { ...input, hostId: targetHostId }, target)] : []),
    ...(disks ? [plan(storageSteps.MIGRATE_IN, { ...input, copyFrom }, target)] : []),
    plan(MOVE, { ...input, targetUri, targetHostId }, source),
    plan(vmsSteps.CLEAN_SOURCE, { vmId }, source),
    ...(hasNics ? [plan(networkSteps.MIGRATE_OUT, { ...input, hostId: held.hostId }, source)] : []),
    ...(disks?.leaves ? [plan(storageSteps.MIGRATE_OUT, { ...input, asTheyWere: isOff }, source)] : []),
    plan(vmsSteps.MOVED, { vmId, hostId: targetHostId, migrationId }, target),
  ];
}
