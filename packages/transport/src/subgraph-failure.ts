/**
 * Why a subgraph gave no answer. unreached: no connection. refused: it does not take our token. broken: the connection was
 * lost, or what stands before it says that it is away. late: its time was over. hurried: it had less than half of its time,
 * since others had used up the operation's. expired: nothing was left of that. unusable: what it answered is no GraphQL
 * result. open: it has failed so often that it is not asked.
 */
export type FailureReason = 'unreached' | 'refused' | 'broken' | 'late' | 'hurried' | 'expired' | 'unusable' | 'open';

/** With these, the subgraph has certainly done nothing. */
const UNTOUCHED: ReadonlySet<FailureReason> = new Set(['unreached', 'refused', 'open', 'expired']);
/** These pass; the same question a moment later may be answered. */
const PASSING: ReadonlySet<FailureReason> = new Set(['unreached', 'broken']);
/** These are no fault of the subgraph's. */
const EXCUSED: ReadonlySet<FailureReason> = new Set(['hurried', 'expired', 'open']);

/** A subgraph gave no answer. The cause is for the log; nothing of it is for clients. */
export class SubgraphFailure extends Error {
  override readonly name = 'SubgraphFailure';
  readonly reason: FailureReason;

  constructor(reason: FailureReason, cause?: unknown) {
    super(`a subgraph gave no answer: ${reason}`, { cause });
    this.reason = reason;
  }

  get mayHaveTakenEffect(): boolean {
    return !UNTOUCHED.has(this.reason);
  }

  get isPassing(): boolean {
    return PASSING.has(this.reason);
  }

  get isItsFault(): boolean {
    return !EXCUSED.has(this.reason);
  }
}
