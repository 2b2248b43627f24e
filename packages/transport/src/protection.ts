import { setTimeout as sleep } from 'node:timers/promises';
import { BrokenCircuitError, circuitBreaker, CircuitState, CountBreaker, ExponentialBackoff, handleWhen, type CircuitBreakerPolicy } from 'cockatiel';
import type { FormattedExecutionResult, GraphQLFormattedError } from 'graphql';
import type { Logger } from 'pino';
import { readAnswer } from './answer.ts';
import type { DataSource, SubgraphRequest } from './data-source.ts';
import { failureAnswer, mayBeMutation } from './failure-answer.ts';
import { RetryBudget } from './retry-budget.ts';
import { SubgraphFailure, type FailureReason } from './subgraph-failure.ts';

export type Circuit = 'closed' | 'half-open' | 'open';

export interface ProtectionMetrics {
  failed(subgraph: string, reason: FailureReason): void;
  retried(subgraph: string): void;
  circuit(subgraph: string, state: Circuit): void;
}

export interface ProtectionOptions {
  /** How long one fetch may take, with its retries. */
  timeoutMs: number;
  /** How long all fetches of one operation may take, one after another; what was answered by then is the answer. */
  operationTimeoutMs: number;
  metrics: ProtectionMetrics;
  logger: Logger;
}

export interface Protection<Context> {
  /**
   * The same subgraph, and its `process` never rejects: what went wrong stands in the result's errors. It is given up at
   * its deadline, wherever it runs. A query that found it away is asked again, twice at most. While its circuit is open,
   * it is not asked at all.
   */
  protect(source: DataSource<Context>): DataSource<Context>;
  /** Of every subgraph that is protected. */
  circuits(): Record<string, Circuit>;
}

const RETRIES = 2;
/** Before the first retry, at most; twice that before the second. */
const RETRY_DELAY_MS = 100;
/** A fifth of the requests: what a fleet of gateways adds to a service that is in trouble. */
const RETRY_SHARE = 0.2;
/** Opens when more than half of the last twenty fetches failed; a few alone, after the start, prove nothing. */
const BREAKER = { threshold: 0.5, size: 20, minimumNumberOfCalls: 5 };
/** How long an open circuit waits before one request may try it: about half a second, then longer each time. */
const REOPENING = { initialDelay: 500, maxDelay: 5_000 };

const CIRCUITS: Readonly<Record<CircuitState, Circuit>> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Open]: 'open',
  [CircuitState.Isolated]: 'open', // nobody isolates
};

/** Deadlines, retries and circuit breakers for the subgraphs of one gateway. */
export function createProtection<Context extends object>(options: ProtectionOptions): Protection<Context> {
  const { timeoutMs, operationTimeoutMs, metrics, logger } = options;
  const breakers = new Map<string, CircuitBreakerPolicy>();
  /** When the time of an operation is over: all of its fetches have the same context. */
  const ends = new WeakMap<Context, number>();

  function endOf(context: Context): number {
    const known = ends.get(context);
    if (known !== undefined) return known;
    const end = performance.now() + operationTimeoutMs;
    ends.set(context, end);
    return end;
  }

  function breakerOf(subgraph: string): CircuitBreakerPolicy {
    const breaker = circuitBreaker(handleWhen((error) => error instanceof SubgraphFailure && error.isItsFault), { breaker: new CountBreaker(BREAKER), halfOpenAfter: new ExponentialBackoff(REOPENING) });
    breaker.onStateChange((state) => {
      const circuit = CIRCUITS[state];
      metrics.circuit(subgraph, circuit);
      if (circuit === 'open') logger.warn({ subgraph, circuit }, 'a service fails too often and is left alone for a while');
      else logger.info({ subgraph, circuit }, circuit === 'closed' ? 'a service answers again' : 'a service that was left alone is tried');
    });
    metrics.circuit(subgraph, 'closed');
    breakers.set(subgraph, breaker);
    return breaker;
  }

  return {
    protect(source) {
      const { name } = source;
      const breaker = breakerOf(name);
      const budget = new RetryBudget(RETRY_SHARE);

      /** One attempt, by the deadline. */
      async function attempt(request: SubgraphRequest<Context>, deadline: number): Promise<FormattedExecutionResult> {
        const remaining = deadline - performance.now();
        if (remaining < 1 || request.signal?.aborted) throw new SubgraphFailure('expired');
        // Others than the one request that tries it would otherwise wait until that one has ended.
        if (breaker.state === CircuitState.HalfOpen) throw new SubgraphFailure('open');
        return breaker.execute(() => inTime(source, request, { remaining, isWhole: remaining > timeoutMs / 2 }));
      }

      return {
        name,
        ...(source.conforms ? { conforms: true } : {}),
        async process(request) {
          budget.earn();
          const deadline = Math.min(performance.now() + timeoutMs, endOf(request.context));
          for (let retries = 0; ; retries += 1) {
            const outcome = await attempt(request, deadline).catch(asFailure);
            const delayMs = Math.random() * RETRY_DELAY_MS * 2 ** retries;
            const again = retries < RETRIES && isWorthRetrying(request, outcome) && performance.now() + delayMs < deadline && budget.spend();
            if (!again) {
              if (!(outcome instanceof SubgraphFailure)) return outcome;
              const { reason, cause = outcome } = outcome;
              metrics.failed(name, reason);
              if (outcome.isItsFault) logger.error({ err: cause, reason, retries, subgraph: name, requestId: requestIdOf(request.context) }, 'a service can not be reached');
              return failureAnswer(name, request, outcome);
            }
            metrics.retried(name);
            await sleep(delayMs);
          }
        },
        close: () => source.close(),
      };
    },
    circuits: () => Object.fromEntries([...breakers].map(([name, { state }]) => [name, CIRCUITS[state]])),
  };
}

/** One answer, or a SubgraphFailure when the time is over: the work of a source that does not heed its signal is dropped. */
async function inTime<Context>(source: DataSource<Context>, request: SubgraphRequest<Context>, time: { remaining: number; isWhole: boolean }): Promise<FormattedExecutionResult> {
  const abandon = new AbortController();
  const late = Promise.withResolvers<never>();
  const giveUp = (reason: FailureReason) => {
    const failure = new SubgraphFailure(reason);
    late.reject(failure);
    abandon.abort(failure);
  };
  const timer = setTimeout(giveUp, time.remaining, time.isWhole ? 'late' : 'hurried');
  const leave = () => giveUp('hurried');
  request.signal?.addEventListener('abort', leave);
  try {
    return readAnswer(await Promise.race([source.process({ ...request, signal: abandon.signal }), late.promise]));
  } catch (thrown) {
    throw asFailure(thrown);
  } finally {
    clearTimeout(timer);
    request.signal?.removeEventListener('abort', leave);
  }
}

function asFailure(thrown: unknown): SubgraphFailure {
  if (thrown instanceof SubgraphFailure) return thrown;
  return new SubgraphFailure(thrown instanceof BrokenCircuitError ? 'open' : 'broken', thrown);
}

/** Only what changes nothing, and only where nothing at all was answered and that may pass. */
function isWorthRetrying(request: SubgraphRequest<unknown>, outcome: FormattedExecutionResult | SubgraphFailure): boolean {
  if (mayBeMutation(request)) return false;
  if (outcome instanceof SubgraphFailure) return outcome.isPassing;
  const { data, errors = [] } = outcome;
  return errors.length > 0 && errors.every(isRetryable) && Object.values(data ?? {}).every(isNothing);
}

const isRetryable = ({ extensions }: GraphQLFormattedError): boolean => extensions?.['code'] === 'UNAVAILABLE' && extensions['retryable'] === true;
const isNothing = (value: unknown): boolean => value === null || (Array.isArray(value) && value.every((each) => each === null));

const requestIdOf = (context: object): unknown => ('requestId' in context ? context.requestId : undefined);
