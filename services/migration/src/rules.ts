import { MIGRATES_FROM, type MigrationState, type VmState } from '@novacron/contracts';
import { badInput } from '@novacron/core';
import { parseUri } from '@novacron/libvirt';

/** What may be asked for, and which states there are: pure. */
export const MODES = ['LIVE', 'OFFLINE'] as const;
export type MigrationMode = (typeof MODES)[number];

/** The states of a VM that each mode starts from. */
export const FROM = MIGRATES_FROM satisfies Record<MigrationMode, readonly VmState[]>;

/** How a VM moves that must: as it is. Null: it can't, until it is at rest. */
export function modeFor(state: VmState): MigrationMode | null {
  return MODES.find((mode) => (FROM[mode] as readonly VmState[]).includes(state)) ?? null;
}

export const FINAL_STATES: ReadonlySet<MigrationState> = new Set(['SUCCEEDED', 'FAILED', 'CANCELLED', 'ROLLED_BACK']);
export const isOver = (state: MigrationState): boolean => FINAL_STATES.has(state);

const MIB = 2 ** 20;

/** libvirt counts in MiB a second; the most is what it takes. */
export const LIMITS = {
  bandwidth: { least: MIB, most: 2 ** 43 },
} as const;

/** How slowly a migration begins, until its target was seen to be the right one. */
export const FIRST_MIB_PER_SECOND = 1;
/** libvirt's own "no limit": src/qemu/qemu_domain.h, QEMU_DOMAIN_MIGRATION_BANDWIDTH_MAX. */
export const UNLIMITED_MIB_PER_SECOND = Number((2n ** 63n - 1n) / BigInt(MIB));

/** Never more than was allowed. */
export const mibPerSecond = (bytesPerSecond: bigint | null): number =>
  bytesPerSecond === null ? UNLIMITED_MIB_PER_SECOND : Math.max(1, Math.floor(Number(bytesPerSecond) / MIB));

/** By a migrationUri with TLS, memory and disks go encrypted, too; qemu+ssh would encrypt only what the daemons say to each other. */
export const isEncrypted = (migrationUri: string): boolean => parseUri(migrationUri).transport === 'tls';

/** LIVE unless told. */
export function checkMode(mode: string | null | undefined): MigrationMode {
  return MODES.find((known) => known === (mode ?? 'LIVE')) ?? badInput('mode', `A mode is one of ${MODES.join(', ')}.`);
}

export function checkBandwidth(bytesPerSecond: number | null | undefined): bigint | null {
  if (bytesPerSecond == null) return null;
  const { least, most } = LIMITS.bandwidth;
  const fits = Number.isFinite(bytesPerSecond) && bytesPerSecond >= least && bytesPerSecond <= most;
  return fits ? BigInt(Math.floor(bytesPerSecond)) : badInput('bandwidthBytesPerSecond', 'A bandwidth is 1 MiB to 8 TiB a second.');
}
