import { declareStep } from '@novacron/contracts';
import type { HostId, MigrationId, VmId } from '@novacron/core';

/** What every step of a migration is told. */
export interface MigrationInput {
  migrationId: MigrationId;
  vmId: VmId;
}

/** The first step, done by the mutation's own transaction. Its undo is the last thing that happens to a migration that failed. */
export const HOLD = declareStep<MigrationInput>()({ name: 'migration.hold', undoable: true });
/** On the source: can the domain move at all, and what does it need? */
export const CHECK_SOURCE = declareStep<MigrationInput>()({ name: 'migration.check-source', undoable: false });
/** On the target: has it what the domain needs? Undo: nothing waits there for a guest that does not come. */
export const CHECK_TARGET = declareStep<MigrationInput>()({ name: 'migration.check-target', undoable: true });

export interface MoveInput extends MigrationInput {
  /** How the source's daemon reaches the target's. */
  targetUri: string;
  targetHostId: HostId;
}

/** On the source: the guest goes. Answers only when it is known where it is. Once it has gone, the operation goes on. */
export const MOVE = declareStep<MoveInput>()({ name: 'migration.move', undoable: true, settles: true });
