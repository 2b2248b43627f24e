import type { StepDeclaration } from '@novacron/contracts';
import { DomainError, type HostId } from '@novacron/core';
import type { Claim, PlannedStep, Sql } from './kernel.ts';

/** A step has tried long enough by itself: the engine does not try it again, whatever the caller may do. */
export class GaveUp extends DomainError {}

/** A step that settles has to stop before it knows what came of it: it is done again, by whoever takes it next, cancelled or not. */
export class PutBack extends Error {
  override readonly name = 'PutBack';
}

/** What a running step can reach. */
export interface StepRun {
  readonly claim: Claim;
  /** Aborted when the operation is cancelled, the claim is lost or the worker closes. */
  readonly signal: AbortSignal;
  /**
   * To be awaited just before the step acts on the world outside. Its undo then knows that there may be something to take
   * back: `claim.output` is null as long as the step has only looked.
   */
  begin(): Promise<void>;
  /** How far this step has come, 0..1; shown with the next heartbeat. */
  reportProgress(fraction: number): void;
}

/**
 * One step of a saga. `run` and `undo` work on the world outside and must be idempotent: each may be tried again
 * after it has already had its effect. What they found is written by `commit` and `commitUndo`, in the transaction
 * that records the step: they count together or not at all.
 */
export interface Step<Tx extends Sql, Input = unknown, Output = unknown, Undone = unknown> extends StepDeclaration {
  /**
   * False for an effect that can't be recognised afterwards (a reboot): a try that was cut off is never repeated,
   * the operation fails with UNAVAILABLE, outcome unknown.
   */
  readonly repeatable?: boolean;
  run(run: StepRun, input: Input): Promise<Output>;
  commit?(tx: Tx, input: Input, output: Output, run: StepRun): Promise<void>;
  undo?(run: StepRun, input: Input): Promise<Undone>;
  commitUndo?(tx: Tx, input: Input, undone: Undone, run: StepRun): Promise<void>;
}

/** Any step of a service: each has inputs and outputs of its own, typed where a plan is made. */
// oxlint-disable-next-line typescript/no-explicit-any -- the inputs of a list of steps have no common type
export type AnyStep<Tx extends Sql> = Step<Tx, any, any, any>;

/** Puts a step into a plan: where it runs, and with what. */
export const plan = <Input>(
  step: StepDeclaration<Input> & { run?(run: StepRun, input: Input): unknown },
  input: Input,
  at: { hostId?: HostId; done?: boolean } = {},
): PlannedStep => ({
  name: step.name,
  hostId: at.hostId ?? null,
  input,
  undoable: step.undoable,
  final: step.final ?? false,
  settles: step.settles ?? false,
  done: at.done ?? false,
});
