import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fromLibvirt, type HostAgent } from '@novacron/agent';
import { DomainError } from '@novacron/core';
import type { Connection } from '@novacron/libvirt';
import { GaveUp, passDoor, PutBack, StaleClaim, type Step, type StepRun } from '@novacron/operations';
import type { Logger } from 'pino';
import type { Database, Tx } from '../database.ts';
import { readSourceView, unlessOver, type SourceView } from '../guest.ts';
import { decide, type Situation, type TargetSeen } from '../outcome.ts';
import { countsOf, readStats, type JobStats } from '../job-stats.ts';
import { createProgressWriter } from '../progress.ts';
import { changeMigration, findMigration, writeMigration } from '../store.ts';
import { askTarget, dropFromTarget, readTargetAnswer, UNKNOWN_TARGET } from '../target-view.ts';
import { adopt, attempt, forgetSpeed, type Mover } from './attempt.ts';
import { MOVE, type MoveInput } from './declarations.ts';

/** How long the target's agent is waited for, before it counts as one that does not say. */
const ANSWER_MS = 3_000;
const ASK_MS = 50;
/** How long until both hosts are asked again. */
const AGAIN_MS = 500;
/** A guest that neither host shows must not be shown by either so many times. */
const LOOKS_UNTIL_LOST = 6;

export interface MoveHost {
  agent: HostAgent;
  database: Database;
  logger: Logger;
}

/** How it went as a whole; null where nobody can say any more. */
interface MoveOutput {
  completed: JobStats | null;
}

/**
 * Moves the guest. It answers, or throws, only when it is known where the guest is: while that can't be known, it waits, however
 * long. After a crash it goes on with what it finds: a migration under way, the guest here or there, or nothing begun.
 */
export const moveStep = (host: MoveHost): Step<Tx, MoveInput, MoveOutput, void> => ({
  ...MOVE,
  run: (run, input) => settle(host, run, input),
  commit: async (tx, { migrationId }, { completed }) => {
    await changeMigration(tx, migrationId, { state: 'COMPLETING', progress: 0.99, message: null, predictedDurationMs: null, ...(completed === null ? { memoryRemaining: 0n } : countsOf(completed)) });
  },
  /** The guest is on the source, as is known by now: it is at rest again, however long it takes to tidy up the target. */
  commitUndo: (tx, { vmId }, _undone, { claim }) => passDoor(tx, 'vms.let_go($1::uuid, $2::uuid)', vmId, claim.operationId),
  undo: async (run, input) => {
    if (run.claim.output === null) return;
    await settle(host, run, input).then(
      () => {
        throw new DomainError('INTERNAL', 'The guest has moved, though its migration was given up.');
      },
      (error: unknown) => {
        if (!(error instanceof GaveUp)) throw error; // it stayed; or it is on neither host, and there is nothing to go back to
      },
    );
  },
});

/** The guest is on the source, and only there. */
class Stayed extends GaveUp {}
/** The host, or the step, is another's by now: it goes on where we stopped. */
class NotOurs extends Error {}

async function settle({ agent, database, logger }: MoveHost, run: StepRun, input: MoveInput): Promise<MoveOutput> {
  const { migrationId, vmId } = input;
  const row = await findMigration(database, migrationId);
  if (!row) throw new DomainError('INTERNAL', 'The migration has no row.');
  const { undoing } = run.claim;
  const mover: Mover = {
    agent,
    database,
    logger,
    row,
    vmId,
    targetUri: input.targetUri,
    progress: createProgressWriter(database, row, logger),
    isCancelled: () => undoing || cancelled,
    requireOurs() {
      // cancelled, the guest is still ours to look after, also while the agent stops
      if (run.signal.reason instanceof StaleClaim || (agent.signal.aborted && !cancelled)) throw new NotOurs();
    },
    wasHeld: false,
    completed: null,
  };
  let cancelled = run.signal.aborted && !agent.signal.aborted;
  run.signal.addEventListener('abort', () => (cancelled = !agent.signal.aborted), { once: true });
  // what is undone has been found to have stayed
  let state: Situation['attempt'] = run.claim.output === null ? 'NONE' : undoing ? 'ENDED' : 'LOST';
  let failure: unknown = null;
  let lostLooks = 0;
  try {
    for (;;) {
      mover.requireOurs();
      const seen = await lookAtSource();
      if (seen === null) continue;
      const situation = { mode: row.mode, source: seen.view.seen, attempt: state, cancelled: mover.isCancelled() };
      // libvirt says that it succeeded only when the target's has said so
      const hasSucceeded = (state === 'ENDED' || state === 'SWITCHED') && failure === null && situation.source === 'GONE';
      const matters = decide({ ...situation, target: null }) !== decide({ ...situation, target: 'ARRIVED' });
      const target = hasSucceeded ? 'ARRIVED' : matters ? await askTheTarget() : null;
      const verdict = decide({ ...situation, target });
      if (verdict !== 'BEGIN' && verdict !== 'FOLLOW') logger.info({ migrationId, vmId, source: seen.view.seen, target, attempt: state, verdict }, 'where the guest is');
      lostLooks = verdict === 'LOST' ? lostLooks + 1 : 0;
      switch (verdict) {
        case 'ARRIVED':
          return { completed: mover.completed ?? (await readCompleted()) };
        case 'STAYED':
          if (seen.view.domain !== null && row.mode === 'LIVE') await forgetSpeed(seen.connection, seen.view.domain).catch(() => undefined); // it only slows down others
          throw stayed(seen.view);
        case 'LOST':
          if (lostLooks >= LOOKS_UNTIL_LOST) throw new GaveUp('UNAVAILABLE', 'The VM is on neither host any more: both say that they have no domain of it.', { retryable: false });
          await delay(AGAIN_MS);
          break;
        case 'BEGIN':
          failure = await begin(seen);
          state = mover.wasHeld ? 'SWITCHED' : 'ENDED';
          break;
        default:
          await act(verdict, seen);
      }
    }
  } catch (error) {
    // the engine learns a moment later than we that this worker has to stop
    if (error instanceof NotOurs && !run.signal.aborted) await once(run.signal, 'abort');
    // whoever throws anything else does not know where the guest is
    throw error instanceof GaveUp || undoing ? error : new PutBack('It is not known yet where the guest is.', { cause: error });
  } finally {
    await mover.progress.flush();
  }

  async function begin({ view }: Seen): Promise<unknown> {
    if (view.domain === null) return null;
    const announce = async (): Promise<void> => {
      await run.begin();
      await writeMigration(database, migrationId, { touched: true, message: null, ...UNKNOWN_TARGET });
    };
    return attempt(mover, view.domain, announce).catch((error: unknown) => {
      mover.requireOurs();
      return error;
    });
  }

  async function act(verdict: 'FOLLOW' | 'WAIT' | 'DESTROY_SOURCE' | 'RESUME_SOURCE' | 'DROP_TARGET', { view, connection }: Seen): Promise<void> {
    try {
      if (verdict === 'DROP_TARGET') await dropFromTarget(database, migrationId);
      if (view.domain !== null) {
        if (verdict === 'FOLLOW') return await adopt(mover, view.domain);
        if (verdict === 'DESTROY_SOURCE') return await unlessOver(connection.domains.destroy(view.domain));
        if (verdict === 'RESUME_SOURCE') return await unlessOver(connection.domains.resume(view.domain));
      }
    } catch (error) {
      mover.requireOurs();
      logger.warn({ err: error, migrationId, vmId, verdict }, 'the guest could not be looked after; trying again');
    }
    if (verdict === 'WAIT') mover.progress.write({ message: 'Waiting for the target to say whether it has the VM.' });
    await delay(AGAIN_MS);
  }

  /** Null while the source can't be asked. */
  async function lookAtSource(): Promise<Seen | null> {
    try {
      const connection = await agent.connection();
      return { connection, view: await readSourceView(connection, vmId, mover.row.mode) };
    } catch (error) {
      mover.requireOurs();
      if (agent.signal.aborted) throw new NotOurs(); // cancelled; its undo asks again
      logger.debug({ err: error, migrationId, vmId }, 'the source can not be asked where the guest is; trying again');
      mover.progress.write({ message: 'Waiting until the source can be asked where the VM is.' });
      await delay(AGAIN_MS);
      return null;
    }
  }

  /** What the target's agent sees from now on; null when it does not say in time. */
  async function askTheTarget(): Promise<TargetSeen | null> {
    const until = performance.now() + ANSWER_MS;
    try {
      const question = await askTarget(database, migrationId);
      for (;;) {
        const answer = await readTargetAnswer(database, migrationId, question);
        if (answer !== null || performance.now() > until) return answer;
        await delay(ASK_MS);
        mover.requireOurs();
      }
    } catch (error) {
      mover.requireOurs();
      logger.debug({ err: error, migrationId, vmId }, 'the target could not be asked; trying again');
      await delay(AGAIN_MS);
      return null;
    }
  }

  /** Why it stayed, for the operation; cancelled, the engine knows why. */
  function stayed({ seen }: SourceView): DomainError {
    if (seen === 'OFF') return new Stayed('UNAVAILABLE', 'The guest ended on its host while it was being moved.', { retryable: false, cause: failure });
    if (failure === null) return new Stayed('UNAVAILABLE', 'The migration was cut off. The VM stayed where it was.');
    const known = fromLibvirt(failure);
    if (known instanceof GaveUp) return new Stayed(known.code, known.message);
    return new Stayed('UNAVAILABLE', `${known.message.replace(/[^.]$/, '$&.')} The VM stayed where it was.`, { cause: failure });
  }

  /** An adopted migration's end was missed: the target has it, too. */
  async function readCompleted(): Promise<JobStats | null> {
    if (mover.row.mode === 'OFFLINE') return null;
    try {
      const peer = await agent.openPeer(input.targetHostId);
      try {
        const { params } = await peer.domains.jobStats(await peer.domains.lookupByUuid(vmId), { keepCompleted: true });
        return readStats(params);
      } finally {
        await peer.close();
      }
    } catch (error) {
      logger.debug({ err: error, migrationId }, 'how the migration went as a whole is not known');
      return null;
    }
  }
}

interface Seen {
  view: SourceView;
  connection: Connection;
}
