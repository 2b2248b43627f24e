import { isDeepStrictEqual } from 'node:util';
import { DomainError } from '@novacron/core';
import { redisOptions } from '@novacron/local';
import { createBells, startSweeper, type AnyStep, type StepRun } from '@novacron/operations';
import { eventually } from '@novacron/testkit';
import { afterEach, expect, it } from 'vitest';
import type { Embedded } from './embedded.ts';
import type { Operation } from './vm.ts';

/*
 * What holds for every verb of every service, whatever goes wrong: each step may be done twice, may fail before or after its effect,
 * may be cut off, and may be cancelled; the operation ends, and nothing is left behind.
 */

// oxlint-disable-next-line typescript/no-explicit-any -- the services' transactions have no common type
type Step = AnyStep<any>;
/** What happens instead of a step, or of its undo. */
type Trouble = (step: Step, effect: () => Promise<unknown>, run: StepRun) => Promise<unknown>;

export interface Disturbance {
  /** For startEmbedded. */
  disturb(step: Step): Step;
  /** From now on; null: nothing is disturbed. */
  set(trouble: { run?: Trouble; undo?: Trouble } | null): void;
}

export function disturbance(): Disturbance {
  let trouble: { run?: Trouble; undo?: Trouble } = {};
  return {
    set(next) {
      trouble = next ?? {};
    },
    disturb: (step) => ({
      ...step,
      run: (run, input) => {
        const effect = (): Promise<unknown> => step.run(run, input);
        return trouble.run ? trouble.run(step, effect, run) : effect();
      },
      ...(step.undo && {
        undo: (run: StepRun, input: unknown) => {
          const effect = async (): Promise<unknown> => step.undo?.(run, input);
          return trouble.undo ? trouble.undo(step, effect, run) : effect();
        },
      }),
    }),
  };
}

/** One operation that can be asked for, again and again. */
export interface Saga<Subject> {
  title: string;
  /** Brings something to where the verb begins. */
  prepare(): Promise<Subject>;
  /** Asks for the verb. */
  ask(subject: Subject): Promise<Operation>;
  /** How it is with the subject now; compared with `before`, `after` and a step's own. */
  look(subject: Subject): Promise<unknown>;
  /** What `look` says when it was not done, or was undone. */
  before: unknown;
  /** What it says when it was done. */
  after: unknown;
  /** The steps that do something, in their order; those that the mutation itself does are not among them. */
  steps: readonly SagaStep[];
  /** What is undone when the first of these fails after its effect, in that order; those that the mutation itself did are among them. */
  undone?: readonly string[];
  /** Which of the proofs: all, unless told. */
  proofs?: readonly Proof[];
  /** What was made for it goes. */
  cleanUp(subject: Subject): Promise<void>;
}

export interface SagaStep {
  name: string;
  /** What is left when it fails after its effect, where that can't be taken back. */
  failedAfter?: unknown;
  /** Once begun, the operation can't be cancelled. */
  final?: boolean;
  /** Past the point of no return: what fails is tried again until it is done. */
  onward?: boolean;
  /** Which of the saga's proofs hold for it: all, unless told. */
  proofs?: readonly Proof[];
}

export type Proof = 'twice' | 'failed before' | 'failed after' | 'killed' | 'killed undoing' | 'cancelled' | 'onward';

/** A step of a saga, and which of the proofs hold for it: all, unless told. */
export const sagaStep = (name: string, proofs?: readonly Proof[]): SagaStep => (proofs ? { name, proofs } : { name });
/** The same past the point of no return. */
export const onward = (name: string, proofs?: readonly Proof[]): SagaStep => ({ ...sagaStep(name, proofs), onward: true });

/** Keeps what a saga is about together with its type. */
// oxlint-disable-next-line typescript/no-explicit-any -- sagas of a table are about different things
export const saga = <Subject>(given: Saga<Subject>): Saga<any> => given;

const FINAL = new Set(['SUCCEEDED', 'FAILED', 'CANCELLED']);
const CANCEL = 'mutation ($id: ID!) { cancelOperation(id: $id) { id } }';
const FAULT = { code: 'CONFLICT', message: 'The test made it fail.' } as const;
const fail = (): never => {
  throw new DomainError(FAULT.code, FAULT.message);
};
/** Until the engine is dropped, or the operation cancelled. */
const hang = (run: StepRun): Promise<never> =>
  new Promise((_resolve, reject) => {
    const end = (): void => reject(run.signal.reason as Error); // what aborts a step is always an Error
    if (run.signal.aborted) end();
    run.signal.addEventListener('abort', end, { once: true });
  });
const twice: Trouble = async (step, effect) => {
  const first = await effect();
  return step.repeatable === false ? first : effect(); // the engine does not repeat it either
};
/** Only that step is troubled. */
const at = (name: string, what: Trouble): Trouble => (step, effect, run) => (step.name === name ? what(step, effect, run) : effect());

interface Proofs {
  // oxlint-disable-next-line typescript/no-explicit-any -- see saga
  sagas: readonly Saga<any>[];
  disturbance: Disturbance;
  /** Called in tests, when it is there. */
  system(): Embedded;
  nothingLeftBehind(): Promise<void>;
  timeoutMs?: number;
}

/** Declares the proofs of a table of sagas. */
export function proveSagas({ sagas, disturbance: trouble, system, nothingLeftBehind, timeoutMs = 120_000 }: Proofs): void {
  const provedBy = (proof: Proof) => sagas.filter(({ proofs }) => proofs?.includes(proof) ?? true);
  const casesOf = (proof: Proof) => provedBy(proof).flatMap((one) =>
      one.steps.filter(({ proofs }) => proofs?.includes(proof) ?? true).map((step) => ({ saga: one, step, title: one.title, name: step.name })),
    );
  const turnsBack = ({ step }: { step: SagaStep }): boolean => step.onward !== true;

  const nothing = (): Promise<unknown> => Promise.resolve();
  let closeSweeper = nothing;
  afterEach(async () => {
    trouble.set(null);
    await closeSweeper();
    closeSweeper = nothing;
  });

  /** How an operation ended, once the subject is as expected and nothing is left behind. */
  async function ends<Subject>({ look, cleanUp }: Saga<Subject>, subject: Subject, operation: Operation, expected: unknown): Promise<{ state: string; error: object | null }> {
    const { state, error } = await operation.ends(timeoutMs);
    const isAsExpected = async (): Promise<true> => {
      const seen = await look(subject);
      if (!isDeepStrictEqual(seen, expected)) throw new Error(`it is ${JSON.stringify(seen)}, not ${JSON.stringify(expected)}`);
      return true;
    };
    await eventually('what it was about to be as expected', isAsExpected, { timeoutMs: 30_000 });
    await eventually('a clean house', async () => (await nothingLeftBehind(), true), { timeoutMs: 30_000 });
    trouble.set(null);
    await cleanUp(subject);
    return { state, error };
  }

  const SUCCEEDED = { state: 'SUCCEEDED', error: null };
  const FAILED = { state: 'FAILED', error: FAULT };

  /** Asks for it, and waits until the step has had its effect and hangs. */
  async function hangAfter<Subject>(one: Saga<Subject>, name: string): Promise<{ subject: Subject; operation: Operation }> {
    const subject = await one.prepare();
    const reached = Promise.withResolvers<void>();
    trouble.set({
      run: at(name, async (_step, effect, run) => {
        await effect();
        reached.resolve();
        return hang(run);
      }),
    });
    const operation = await one.ask(subject);
    await comesTo(name, reached.promise, operation);
    return { subject, operation };
  }

  /** Waits for what happens in an operation; fails at once when that has ended without. */
  async function comesTo(what: string, reached: Promise<void>, operation: Operation): Promise<void> {
    let isThere = false;
    void reached.then(() => (isThere = true));
    const look = async (): Promise<object | boolean> => {
      const seen = isThere || (await operation.read());
      return isThere || (seen !== true && FINAL.has(seen['state']) && { ended: seen });
    };
    const found = await eventually(`${what} to be reached`, look, { timeoutMs, intervalMs: 50 });
    if (found !== true) throw new Error(`The operation ended without ${what}: ${JSON.stringify(found)}`);
  }

  it.each(provedBy('twice'))('$title: each step done twice in a row has the same end', async (one) => {
    const subject = await one.prepare();
    trouble.set({ run: twice });
    expect(await ends(one, subject, await one.ask(subject), one.after)).toMatchObject(SUCCEEDED);
  }, timeoutMs);

  it.each(casesOf('failed before').filter(turnsBack))('$title: $name fails before it had an effect: what was begun is undone, even twice', async ({ saga: one, name }) => {
    const subject = await one.prepare();
    const left = one.steps.slice(0, one.steps.findIndex((step) => step.name === name)).findLast((step) => 'failedAfter' in step);
    trouble.set({ run: at(name, () => fail()), undo: twice });
    expect(await ends(one, subject, await one.ask(subject), left ? left.failedAfter : one.before)).toMatchObject(FAILED);
  }, timeoutMs);

  it.each(casesOf('failed after').filter(turnsBack))('$title: $name fails after its effect: what was begun is undone, even twice', async ({ saga: one, step, name }) => {
    const subject = await one.prepare();
    const failed = at(name, async (_step, effect) => (await effect(), fail()));
    trouble.set({ run: failed, undo: twice });
    expect(await ends(one, subject, await one.ask(subject), 'failedAfter' in step ? step.failedAfter : one.before)).toMatchObject(FAILED);
  }, timeoutMs);

  it.each(casesOf('killed'))('$title: the engine dies after the effect of $name: its successor ends the operation', async ({ saga: one, name }) => {
    const { subject, operation } = await hangAfter(one, name);
    await restartEngine();
    expect(await ends(one, subject, operation, one.after)).toMatchObject(SUCCEEDED);
  }, timeoutMs);

  const undone = provedBy('killed undoing').flatMap((one) => (one.undone ?? []).map((name, _index, [failing = '']) => ({ saga: one, title: one.title, name, failing })));
  it.each(undone)('$title: the engine dies after the effect of undoing $name: its successor goes on with it', async ({ saga: one, name, failing }) => {
    const subject = await one.prepare();
    const reached = Promise.withResolvers<void>();
    trouble.set({
      run: at(failing, async (_step, effect) => (await effect(), fail())),
      undo: at(name, async (_step, effect, run) => {
        await effect();
        reached.resolve();
        return hang(run);
      }),
    });
    const operation = await one.ask(subject);
    await comesTo(`the undo of ${name}`, reached.promise, operation);
    await restartEngine();
    expect(await ends(one, subject, operation, one.before)).toMatchObject(FAILED);
  }, timeoutMs);

  it.each(casesOf('onward').filter(({ step }) => step.onward))('$title: $name fails past the point of no return: it is tried again until it is done, and nobody can cancel', async ({ saga: one, name }) => {
    const subject = await one.prepare();
    const [failed, refused] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let tries = 0;
    trouble.set({
      run: at(name, async (_step, effect) => {
        tries += 1;
        if (tries === 2) await effect();
        failed.resolve();
        if (tries < 3) throw new DomainError('UNAVAILABLE', FAULT.message);
        await refused.promise;
        return effect();
      }),
    });
    const operation = await one.ask(subject);
    await comesTo(name, failed.promise, operation);
    const { extensions } = await operation.graph.refused(CANCEL, { id: operation.id });
    refused.resolve();
    expect(await ends(one, subject, operation, one.after)).toMatchObject(SUCCEEDED);
    expect({ refused: extensions.code, tries }).toEqual({ refused: 'INVALID_STATE', tries: 3 });
  }, timeoutMs);

  const cancellable = casesOf('cancelled').filter(({ step }) => step.final !== true && step.onward !== true);
  it.each(cancellable)('$title: cancelled after the effect of $name, it is undone as far as it can be', async ({ saga: one, step, name }) => {
    const { subject, operation } = await hangAfter(one, name);
    await operation.graph.run(CANCEL, { id: operation.id });
    const ended = await ends(one, subject, operation, 'failedAfter' in step ? step.failedAfter : one.before);
    expect(ended).toMatchObject({ state: 'CANCELLED', error: null });
  }, timeoutMs);

  /** The successor does not wait for the next round of its own sweeper: there are many such cases. */
  async function restartEngine(): Promise<void> {
    await dropEngine(system());
    trouble.set(null);
    await system().start();
    const { redisUrl, logger, sql } = system();
    const bells = createBells(redisOptions(redisUrl), logger);
    const sweeper = startSweeper({ sql: { $queryRawUnsafe: (query, ...values) => sql(query, values) as Promise<never> }, bells, logger, intervalMs: 200 });
    closeSweeper = () => Promise.all([sweeper.close(), bells.close()]);
  }
}

/** Everything of this process ends as if it had been killed, and its leases and claims have run out. */
async function dropEngine({ stop, sql }: Embedded): Promise<void> {
  await stop({ force: true });
  await sql('UPDATE operations.host_lease SET expires_at = clock_timestamp()');
  await sql('UPDATE operations.step SET claimed_until = clock_timestamp() WHERE claimed_until > clock_timestamp()');
}
