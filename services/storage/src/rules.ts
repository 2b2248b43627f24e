import { badInput } from '@novacron/core';
import type { VolumeState } from './generated/prisma/enums.ts';

export type { VolumeState };

/** What is done with a volume. The same word names the permission, the mutation, the operation and the file. */
export const VOLUME_VERBS = ['create', 'resize', 'attach', 'detach', 'snapshot', 'unsnapshot', 'delete'] as const;
export type VolumeVerb = (typeof VOLUME_VERBS)[number];

interface Rule {
  /** Where it begins. */
  from: readonly VolumeState[];
  /** What shows while it is under way. */
  via: VolumeState;
}

export const RULES: Readonly<Record<VolumeVerb, Rule>> = {
  create: { from: [], via: 'CREATING' },
  resize: { from: ['AVAILABLE', 'IN_USE'], via: 'RESIZING' },
  attach: { from: ['AVAILABLE'], via: 'ATTACHING' },
  detach: { from: ['IN_USE'], via: 'DETACHING' },
  snapshot: { from: ['AVAILABLE'], via: 'SNAPSHOTTING' },
  unsnapshot: { from: ['AVAILABLE', 'IN_USE', 'ERROR'], via: 'SNAPSHOTTING' },
  delete: { from: ['AVAILABLE', 'ERROR'], via: 'DELETING' },
};

/** Words of a refusal, where the verb's own do not read. */
const WORDS: Partial<Record<VolumeVerb, string>> = { snapshot: 'be copied', unsnapshot: 'lose a snapshot' };

const sentenceList = (words: readonly string[]): string => (words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`);

/** Why a verb can't begin in this state; null when it can. */
export function refusal(verb: VolumeVerb, state: VolumeState): string | null {
  const { from } = RULES[verb];
  if (from.includes(state)) return null;
  const what = WORDS[verb] ?? (verb === 'attach' || verb === 'detach' || verb === 'create' ? `be ${verb === 'create' ? 'created' : `${verb}ed`}` : `be ${verb}d`);
  return `A volume that is ${state} can't ${what}: it must be ${sentenceList(from)}.`;
}

/** A volume's state: the verb's in flight, else what is so of it. */
export function stateOf(volume: { operationVerb: string | null; deletedAt: Date | null; problem: string | null; vmId: string | null }): VolumeState {
  if (volume.deletedAt !== null) return 'DELETED';
  if (volume.operationVerb !== null) return RULES[volume.operationVerb as VolumeVerb].via; // only verbs are written there
  return volume.problem !== null ? 'ERROR' : volume.vmId !== null ? 'IN_USE' : 'AVAILABLE';
}

// ---- names on the host --------------------------------------------------------------------------------------

/** The pool that every host has. */
export const LOCAL_POOL = 'local';
/** What libvirt calls a pool of ours, on every host that has it. */
export const libvirtPoolName = (name: string): string => `nc-${name}`;
/** libvirt's names of volumes. They begin with a letter: libvirt makes ids of qemu-img's of them. storage.hold_disks names boot disks alike. */
export const volumeFile = (id: string, format: string): string => `vol-${id}.${format}`;
export const snapshotFile = (id: string, format: string): string => `snapshot-${id}.${format}`;
/** The file in a shared pool by which hosts prove that they see the same directory. */
export const markerName = (poolId: string): string => `novacron-${poolId}.pool`;

// ---- input ------------------------------------------------------------------------------------------------------

const MIB = 2 ** 20;
export const FORMATS = ['qcow2', 'raw'] as const;
export type VolumeFormat = (typeof FORMATS)[number];

export const LIMITS = {
  volume: { least: MIB, most: 64 * 2 ** 40 },
  path: { most: 1024 },
  hosts: { most: 256 },
  snapshots: { most: 100 },
} as const;

export function checkSize(bytes: number, field = 'size'): number {
  const { least, most } = LIMITS.volume;
  if (bytes < least || bytes > most) badInput(field, 'A volume has 1 MiB to 64 TiB.');
  return bytes % MIB === 0 ? bytes : badInput(field, 'A volume has a whole number of MiB.');
}

export function checkFormat(format: string): VolumeFormat {
  return FORMATS.find((known) => known === format) ?? badInput('format', `A volume's format is one of ${FORMATS.join(', ')}.`);
}

/** An absolute path without . or .., of characters that need no escaping anywhere; never the root. */
export function checkPath(path: string): string {
  const isPlain = path.length <= LIMITS.path.most && /^(\/[\w+@-][\w.+@-]*)+$/.test(path);
  return isPlain ? path : badInput('path', 'A path is absolute, of letters, digits and _ . + @ -, and no part of it begins with a dot.');
}
