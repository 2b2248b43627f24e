import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { DomainError, type ErrorRecord, type HostId, type OperationId } from '@novacron/core';
import { failSpan, inCarriedTrace, inSpan } from '@novacron/telemetry';
import { SpanKind } from '@opentelemetry/api';
import { Worker, type ConnectionOptions } from 'bullmq';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { queueName, type Bells } from './bells.ts';
import { fromDatabase, isPassing, StaleClaim } from './database-errors.ts';
import { beginStep, claimStep, failStep, heartbeat, recordStep, type Bell, type Claim, type Recorded, type Sql } from './kernel.ts';
import { GaveUp, PutBack, type AnyStep, type Step, type StepRun } from './steps.ts';

const CLAIM_TTL_MS = 15_000;
const HEARTBEAT_MS = 1_000;
const MAX_ATTEMPTS = 5;
const RETRY = { firstMs: 200, mostMs: 5_000, undoMostMs: 30_000 } as const;

export interface WorkerOptions<Tx extends Sql> {
  service: string;
  /** The host whose queue this is, with the epoch of the lease under which it is served. */
  host: { id: HostId; epoch: number } | null;
  steps: readonly AnyStep<Tx>[];
  /** The service's own database client. */
  sql: Sql;
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  bells: Bells;
  redis: RedisOptions;
  logger: Logger;
  /** How an error of the world outside reads in the domain (libvirt's, a remote's). */
  toDomainError?(error: unknown): DomainError;
  concurrency?: number;
}

export interface OperationsWorker {
  /** Steps in hand are put back for the next worker. `force`: dropped as if the process had died. */
  close(options?: { force?: boolean }): Promise<void>;
}

/** The part of a step that is written with its record; answers its output. */
type Commit<Tx> = (tx: Tx) => Promise<unknown>;

/** The worker closes: the step goes back, to be done by another. */
class Closing extends Error {}
/** Someone cancelled the operation. */
class Cancelled extends Error {}

const outcomeUnknown = () =>
  new DomainError('UNAVAILABLE', 'The worker was lost while it did this; whether it took effect is unknown.', { retryable: false });

/** Answers the bells of one queue: takes the step at the cursor, does it, records it, and goes on. */
export function startWorker<Tx extends Sql>(options: WorkerOptions<Tx>): OperationsWorker {
  const { sql, host, bells } = options;
  const name = queueName(options.service, host?.id ?? null);
  const steps = new Map<string, Step<Tx>>(options.steps.map((step) => [step.name, step]));
  const workerId = randomUUID();
  const closing = new AbortController();
  let dropped = false;

  async function drive(operationId: OperationId): Promise<void> {
    while (!closing.signal.aborted) {
      const answer = await claimStep(sql, operationId, host, workerId, CLAIM_TTL_MS);
      if ('elsewhere' in answer) bells.ring(answer.elsewhere);
      if (!('claim' in answer)) return;
      const bell = await perform(answer.claim);
      if (dropped || bell === null) return;
      if (bell.delayMs > 0 || queueName(bell.service, bell.hostId) !== name) return bells.ring(bell);
    }
  }

  async function perform(claim: Claim): Promise<Bell | null> {
    const log = options.logger.child({
      operationId: claim.operationId,
      kind: claim.kind,
      targetId: claim.targetId,
      hostId: host?.id,
      step: claim.name,
      attempt: claim.attempt,
      requestId: claim.requestId,
    });
    const held = holdClaim(claim);
    try {
      const recorded = await inCarriedTrace(claim.traceContext, () =>
        inSpan(`${claim.undoing ? 'undo' : 'step'} ${claim.name}`, { kind: SpanKind.CONSUMER, attributes: spanAttributes(claim) }, () => settle(claim, held.run, log)),
      );
      return recorded.bell;
    } catch (error) {
      if (dropped || error instanceof Closing) return null; // the claim runs out, and the step is another's
      if (!(error instanceof StaleClaim)) throw error;
      log.warn('the step was taken over by another worker');
      return null;
    } finally {
      held.release();
    }
  }

  const spanAttributes = (claim: Claim) => ({
    'novacron.operation.id': claim.operationId,
    'novacron.operation.kind': claim.kind,
    'novacron.step': claim.name,
    'novacron.step.attempt': claim.attempt,
    ...(host === null ? {} : { 'novacron.host.id': host.id }),
    'messaging.destination.name': name,
  });

  /** Does the step, or undoes it, and writes down what came of it. */
  async function settle(claim: Claim, run: StepRun, log: Logger): Promise<Recorded> {
    const startedAt = performance.now();
    let commit: Commit<Tx>;
    try {
      commit = await (claim.undoing ? undoStep(claim, run) : doStep(claim, run));
    } catch (error) {
      return persist(run, log, () => settleFailure(claim, run, fromDatabase(error), log));
    }
    try {
      const recorded = await persist(run, log, () => options.transaction(async (tx) => recordStep(tx, claim, await commit(tx))));
      log.info({ state: recorded.state, undone: claim.undoing, durationMs: Math.round(performance.now() - startedAt) }, 'step recorded');
      return recorded;
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return persist(run, log, () => settleFailure(claim, run, error, log)); // what it did can't be: it goes back
    }
  }

  async function doStep(claim: Claim, run: StepRun): Promise<Commit<Tx>> {
    const step = stepOf(claim);
    if (claim.interrupted && step.repeatable === false) throw outcomeUnknown();
    const output = await step.run(run, claim.input);
    return async (tx) => {
      await step.commit?.(tx, claim.input, output, run);
      return output;
    };
  }

  async function undoStep(claim: Claim, run: StepRun): Promise<Commit<Tx>> {
    const step = stepOf(claim);
    const undone = await step.undo?.(run, claim.input);
    return async (tx) => {
      await step.commitUndo?.(tx, claim.input, undone, run);
      return null;
    };
  }

  /**
   * Writes down what has happened, again and again while the database is in trouble: what was done outside is not undone
   * because it could not be recorded at once. Ends when the claim is lost; a fault that stays is the domain's INTERNAL.
   */
  async function persist(run: StepRun, log: Logger, write: () => Promise<Recorded>): Promise<Recorded> {
    for (let attempt = 1; ; attempt += 1) {
      if (dropped) throw new Closing();
      try {
        return await write();
      } catch (thrown) {
        const error = fromDatabase(thrown);
        if (error instanceof StaleClaim || (error instanceof DomainError && error.code !== 'UNAVAILABLE')) throw error;
        if (!isPassing(error) && attempt >= MAX_ATTEMPTS) throw DomainError.from(error);
        log.warn({ err: error, attempt }, 'what a step did could not be written down; trying again');
        await delay(Math.min(RETRY.mostMs, RETRY.firstMs * 2 ** Math.min(attempt - 1, 8)));
        if (run.signal.reason instanceof StaleClaim) throw run.signal.reason;
        if (closing.signal.aborted && attempt >= MAX_ATTEMPTS) throw new Closing();
      }
    }
  }

  /** Decides what a failure means: put back, tried again later, or the end of the way forward. */
  async function settleFailure(claim: Claim, run: StepRun, error: unknown, log: Logger): Promise<Recorded> {
    if (error instanceof PutBack && !claim.undoing) return failStep(sql, claim, null, run.signal.aborted ? 0 : RETRY.firstMs);
    const reason: unknown = run.signal.aborted ? run.signal.reason : error;
    const repeatable = steps.get(claim.name)?.repeatable !== false;
    if (reason instanceof Closing && (repeatable || claim.undoing)) return failStep(sql, claim, null, 0);
    if (reason instanceof Cancelled) {
      log.info('the step was cancelled');
      return failStep(sql, claim, null, null);
    }
    const known = reason instanceof Closing ? outcomeUnknown() : error instanceof DomainError ? error : (options.toDomainError?.(error) ?? DomainError.from(error));
    const failure: ErrorRecord = known.toRecord();
    failSpan(known.code);
    const again = claim.undoing || (known.retryable && repeatable && !(known instanceof GaveUp) && claim.attempt < MAX_ATTEMPTS);
    const most = claim.undoing ? RETRY.undoMostMs : RETRY.mostMs;
    const retryMs = again ? Math.min(most, RETRY.firstMs * 2 ** Math.min(claim.attempt - 1, 16)) : null;
    log.warn({ err: known.code === 'INTERNAL' ? error : known.cause, code: known.code, reason: known.message, retryMs }, 'step failed');
    return failStep(sql, claim, failure, retryMs);
  }

  function stepOf(claim: Claim): Step<Tx> {
    const step = steps.get(claim.name);
    if (!step) throw new DomainError('INTERNAL', `This version of NovaCron knows no step ${claim.name}.`);
    return step;
  }

  /** Keeps a claim alive while its step is done, and passes on a cancellation. */
  function holdClaim(claim: Claim): { run: StepRun; release(): void } {
    const cancelled = new AbortController();
    let progress: number | null = null;
    let beating = false;
    const beat = async (): Promise<void> => {
      if (beating || dropped) return;
      beating = true;
      try {
        if (await heartbeat(sql, claim, CLAIM_TTL_MS, progress)) cancelled.abort(new Cancelled());
      } catch (error) {
        if (error instanceof StaleClaim) cancelled.abort(new StaleClaim());
        // anything else: the database is away for a moment; the claim lives on until its time is over
      } finally {
        beating = false;
      }
    };
    const timer = setInterval(() => void beat(), HEARTBEAT_MS);
    return {
      run: {
        claim,
        begin: () => beginStep(sql, claim),
        signal: AbortSignal.any([cancelled.signal, closing.signal]),
        reportProgress: (fraction) => {
          progress = fraction;
        },
      },
      release: () => clearInterval(timer),
    };
  }

  const driving = new Set<Promise<void>>();
  const answer = async (job: { data: { operationId: OperationId } }): Promise<void> => {
    const driven = drive(job.data.operationId);
    driving.add(driven);
    await driven.finally(() => driving.delete(driven));
  };
  const worker = new Worker<{ operationId: OperationId }>(name, answer, {
    connection: options.redis as ConnectionOptions, // the same options, declared by BullMQ a second time
    concurrency: options.concurrency ?? 64, // graceful stops wait for a minute; what libvirt is asked at once is its link's to limit
    lockDuration: 10_000,
    stalledInterval: 5_000,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  worker.on('error', () => {}); // Redis is away: it reconnects by itself, and the sweeper rings again
  worker.on('failed', (_job, error) => {
    if (!dropped) options.logger.error({ err: error, queue: name }, 'a bell could not be answered');
  });

  return {
    async close({ force = false } = {}) {
      dropped = force;
      closing.abort(new Closing());
      if (!force) await Promise.allSettled(driving);
      // Our side is finished; a bell that Redis still counts as being answered does no harm. BullMQ's own orderly
      // close waits for Redis, which may be away.
      await worker.close(true);
    },
  };
}
