import type { HostId } from '@novacron/core';
import { declareStep } from './step.ts';

/* What migration offers to the operations of other services. */

/**
 * Empties a host, needs none itself: moves its VMs elsewhere, each by an operation of its own whose parent is this one, until
 * none is left. INVALID_STATE, naming them and why, where some can't move; migration shows them as Host.drainBlockers meanwhile,
 * and until the next drain. Undo: VMs that still move stay where they are; those that have moved stay where they went.
 */
export const DRAIN = declareStep<{ hostId: HostId }>()({ name: 'migration.drain', undoable: true });
