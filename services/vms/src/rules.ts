import { MIGRATES_FROM, type VmState } from '@novacron/contracts';
import { badInput, checkText } from '@novacron/core';
import type { ObservedState } from './generated/prisma/enums.ts';

/**
 * What may be done to a VM, and what its state is: pure. A verb is a row; every table over VmVerb stops compiling
 * until the new verb has its row.
 */
export const VM_VERBS = ['create', 'start', 'stop', 'reboot', 'pause', 'resume', 'delete'] as const;
export type VmVerb = (typeof VM_VERBS)[number];

/**
 * What other services do with a VM that they hold, and the state that shows meanwhile; null: its own. They take it with
 * hold_for (prisma/vms), from the states that their own rules name.
 */
export const FOREIGN_VERBS = { attach: null, detach: null, resize: null, migrate: 'MIGRATING' } as const satisfies Record<string, VmState | null>;
export type ForeignVerb = keyof typeof FOREIGN_VERBS;

/** Whatever can be in flight on a VM. */
export type HoldingVerb = VmVerb | ForeignVerb;

const isForeign = (verb: HoldingVerb): verb is ForeignVerb => verb in FOREIGN_VERBS;

interface VerbRule {
  /** The states it starts from. */
  from: readonly VmState[];
  /** The state while it is in flight. */
  via: VmState;
  /** The state it asks for; null leaves what was asked for before. */
  desired: VmState | null;
}

/** The transitions follow virDomainState (https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainState). */
export const RULES = {
  create: { from: [], via: 'PENDING', desired: 'RUNNING' },
  start: { from: ['STOPPED', 'CRASHED', 'ERROR'], via: 'STARTING', desired: 'RUNNING' },
  stop: { from: ['RUNNING', 'PAUSED'], via: 'STOPPING', desired: 'STOPPED' },
  reboot: { from: ['RUNNING'], via: 'REBOOTING', desired: null },
  pause: { from: ['RUNNING'], via: 'PAUSING', desired: 'PAUSED' },
  resume: { from: ['PAUSED'], via: 'RESUMING', desired: 'RUNNING' },
  delete: {
    from: ['STOPPED', 'RUNNING', 'PAUSED', 'CRASHED', 'ERROR', 'UNKNOWN'],
    via: 'DELETING',
    desired: 'DELETED',
  },
} as const satisfies Record<VmVerb, VerbRule>;

/** Why the verb can't begin in this state; null when it can. */
export const refusal = (verb: VmVerb, state: VmState): string | null => refusalFrom(verb, RULES[verb].from, state);

/** The same, of a verb that is another service's. */
export const refusalFrom = (verb: HoldingVerb, from: readonly VmState[], state: VmState): string | null =>
  from.includes(state) ? null : `A VM that is ${state} can't ${verb}: it must be ${sentenceList(from)}.`;

/** Where a VM can be moved from, in one mode or the other. */
export const MIGRATABLE: readonly VmState[] = Object.values(MIGRATES_FROM).flat();

const sentenceList = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

/** States while nothing is in flight. */
const AT_REST: Record<ObservedState, VmState> = {
  NONE: 'UNKNOWN',
  RUNNING: 'RUNNING',
  PAUSED: 'PAUSED',
  STOPPED: 'STOPPED',
  CRASHED: 'CRASHED',
  MISSING: 'ERROR',
  UNKNOWN: 'UNKNOWN',
};

/** Is this a state that a VM stays in by itself? */
export const isAtRest = (state: VmState): boolean => Object.values(AT_REST).includes(state);

/** The state that the graph shows: that of the verb in flight, else what libvirt last said. */
export function stateOf(observed: ObservedState, verb: HoldingVerb | null): VmState {
  if (verb === null) return AT_REST[observed];
  if (isForeign(verb)) return FOREIGN_VERBS[verb] ?? AT_REST[observed];
  // a new VM waits until its host has something of it
  return verb === 'create' && observed !== 'NONE' ? 'PROVISIONING' : RULES[verb].via;
}

/** Why a VM at rest is in a state that needs explaining. */
export const reasonOf = (observed: ObservedState, reason: string | null): string | null =>
  observed === 'MISSING' ? 'The domain is gone from its host: it was removed there, not through NovaCron. Starting the VM defines it again.' : reason;

/**
 * Does what was seen contradict what was asked for? Only while no operation is in flight, which explains every
 * difference itself.
 */
export const isDrift = (observed: ObservedState, desired: VmState, verb: HoldingVerb | null): boolean =>
  verb === null && AT_REST[observed] !== desired;

/**
 * Which of two things seen is to be believed. libvirt forgets why a domain is off when its daemon starts again: that
 * it crashed stays true until it is started.
 */
export const believes = (before: ObservedState, seen: ObservedState, reason: string | null): boolean =>
  !(before === 'CRASHED' && seen === 'STOPPED' && reason === null);

// ---- input ------------------------------------------------------------------------------------------------------

const TAG = /^[\p{L}\p{N}][\p{L}\p{N}._:=/-]{0,62}$/u;
const MIB = 2 ** 20;

export const LIMITS = {
  vcpus: { least: 1, most: 255 },
  memory: { least: 16 * MIB, most: 16 * 2 ** 40 },
  tags: { most: 50 },
  cmdline: { most: 2048 },
  label: { key: 63, value: 255 },
  /** Of a text to look for. */
  filter: { most: 255 },
} as const;

export function checkVcpus(vcpus: number): number {
  const { least, most } = LIMITS.vcpus;
  return Number.isInteger(vcpus) && vcpus >= least && vcpus <= most ? vcpus : badInput('vcpus', `A VM has ${least} to ${most} vCPUs.`);
}

export function checkMemory(bytes: number): number {
  const { least, most } = LIMITS.memory;
  if (bytes < least || bytes > most) badInput('memory', 'A VM has 16 MiB to 16 TiB of memory.');
  return bytes % MIB === 0 ? bytes : badInput('memory', 'Memory comes in whole MiB.');
}

/** Without duplicates, in the order given. */
export function checkTags(tags: readonly string[]): string[] {
  if (tags.length > LIMITS.tags.most) badInput('tags', `A VM has at most ${LIMITS.tags.most} tags.`);
  const odd = tags.find((tag) => !TAG.test(tag));
  if (odd !== undefined) badInput('tags', 'A tag is 1-63 letters, digits and . _ : = / -, and begins with a letter or a digit.');
  return [...new Set(tags)];
}

export const checkCmdline = (cmdline: string): string => checkText(cmdline, 'kernel.cmdline', LIMITS.cmdline.most);

/** A label: short text, or a number or a boolean. */
export function checkLabel(key: string, value: unknown, field: string): void {
  checkText(key, field, LIMITS.label.key);
  if (typeof value === 'string') checkText(value, field, LIMITS.label.value);
  else if (typeof value !== 'number' && typeof value !== 'boolean') badInput(field, 'A label is text, a number or a boolean.');
}
