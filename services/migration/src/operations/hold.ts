import type { MigrationState } from '@novacron/contracts';
import type { Step, StepRun } from '@novacron/operations';
import type { MigrationRow, Tx } from '../database.ts';
import { changeMigration, noJson } from '../store.ts';
import { HOLD, type MigrationInput } from './declarations.ts';

const nothing = (): Promise<void> => Promise.resolve();

/** How a migration ended whose operation turned back. */
export const endOf = ({ cancelled }: StepRun['claim'], { touched }: Pick<MigrationRow, 'touched'>): MigrationState =>
  cancelled ? 'CANCELLED' : touched ? 'ROLLED_BACK' : 'FAILED';

/** The migration itself. It ends with its operation: recording the undo of the first step is the last thing that happens. */
export const holdStep: Step<Tx, MigrationInput, void, void> = {
  ...HOLD,
  run: nothing, // the mutation did it
  undo: nothing, // all of it is in the database
  async commitUndo(tx, { migrationId }, _undone, { claim }) {
    await changeMigration(tx, migrationId, (row) => ({
      state: endOf(claim, row),
      error: claim.error === null ? noJson : { ...claim.error },
      message: null,
      predictedDurationMs: null,
      finishedAt: new Date(),
    }));
  },
};
