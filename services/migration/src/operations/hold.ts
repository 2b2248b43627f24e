import { networkSteps, storageSteps } from '@novacron/contracts';
import type { Step } from '@novacron/operations';
import type { Tx } from '../database.ts';
import { changeMigration, noJson } from '../store.ts';
import { HOLD, MOVE, type MigrationInput } from './declarations.ts';

const nothing = (): Promise<void> => Promise.resolve();

/** The steps that make something on a host, or move the guest. */
const ACTING = [networkSteps.MIGRATE_IN.name, storageSteps.MIGRATE_IN.name, MOVE.name];

const hasUndone = async (tx: Tx, operationId: string): Promise<boolean> => {
  const [row] = await tx.$queryRaw<{ undone: boolean }[]>`SELECT operations.has_undone(${operationId}::uuid, ${ACTING}::text[]) AS undone`;
  return row?.undone ?? false;
};

/** The migration itself. It ends with its operation: recording the undo of the first step is the last thing that happens. */
export const holdStep: Step<Tx, MigrationInput, void, void> = {
  ...HOLD,
  run: nothing, // the mutation did it
  undo: nothing, // all of it is in the database
  async commitUndo(tx, { migrationId }, _undone, { claim }) {
    const state = claim.cancelled ? 'CANCELLED' : (await hasUndone(tx, claim.operationId)) ? 'ROLLED_BACK' : 'FAILED';
    await changeMigration(tx, migrationId, {
      state,
      error: claim.error === null ? noJson : { ...claim.error },
      message: null,
      predictedDurationMs: null,
      finishedAt: new Date(),
    });
  },
};
