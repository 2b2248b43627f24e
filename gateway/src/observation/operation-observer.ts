import type { PreparedOperation, SubgraphSource } from '@novacron/supergraph';
import { failSpan, inSpan } from '@novacron/telemetry';
import { trace } from '@opentelemetry/api';
import type { FormattedExecutionResult, OperationDefinitionNode } from 'graphql';
import type { Logger } from 'pino';
import type { Telemetry } from '../telemetry.ts';
import { createFetchClock, type FetchTimes } from './fetch-times.ts';
import { formatWithoutLiterals, hashWithoutLiterals } from './literals.ts';
import { createOperationNames } from './operation-names.ts';

/** Longer plans are cut: a log line is for people. */
const LONGEST_PLAN = 20_000;

export interface ObserverOptions<Context> {
  telemetry: Telemetry;
  /** Operations that take longer are logged with their plan; 0: none. */
  slowOperationMs: number;
  isSignedIn(context: Context): boolean;
  logger: Logger;
}

export interface OperationObserver<Context> {
  /** The same subgraphs, their fetches timed and counted. */
  sources<Source extends SubgraphSource<Context>>(sources: Readonly<Record<string, Source>>): Record<string, Source>;
  /** The same operation; each run is counted, timed, traced and, when it was slow, logged. */
  watch(prepared: PreparedOperation<Context>): PreparedOperation<Context>;
}

/** Sees to it that every query and mutation can be seen through, without a word of what was sent or answered. */
export function createOperationObserver<Context extends object>({ telemetry, slowOperationMs, isSignedIn, logger }: ObserverOptions<Context>): OperationObserver<Context> {
  const nameOf = createOperationNames();
  const clock = createFetchClock<Context>(telemetry);
  /** What was planned before: the nodes are the executor's, which keeps them with their plans. */
  const planned = new WeakSet<OperationDefinitionNode>();

  /** The first run of an operation plans it. @returns how long that took */
  async function planFirst(prepared: PreparedOperation<Context>): Promise<number> {
    const { operation } = prepared;
    const cache = planned.has(operation) ? 'hit' : 'miss';
    telemetry.plans.inc({ cache });
    if (cache === 'hit') return 0;
    const startedAt = performance.now();
    await inSpan('plan', {}, async () => void prepared.plan()).catch(() => undefined); // the run says so
    planned.add(operation);
    const durationMs = performance.now() - startedAt;
    telemetry.planSeconds.observe(durationMs / 1_000);
    return durationMs;
  }

  async function observe(prepared: PreparedOperation<Context>, context: Context, run: () => Promise<FormattedExecutionResult>): Promise<FormattedExecutionResult> {
    const { document, operation } = prepared;
    const type = operation.operation;
    const name = nameOf(operation.name?.value, isSignedIn(context));
    const startedAt = performance.now();
    telemetry.operationsInFlight.inc();
    try {
      return await inSpan(`${type} ${name}`, { begins: true, attributes: { 'graphql.operation.type': type, 'graphql.operation.name': name } }, async () => {
        const span = trace.getActiveSpan();
        if (span?.isRecording()) span.setAttribute('graphql.document.hash', hashWithoutLiterals(document));
        const planMs = await planFirst(prepared);
        const { result, fetched } = await clock.during(context, run);
        const outcome = outcomeOf(result);
        if (outcome !== 'ok') failSpan(String(result.errors?.[0]?.extensions?.['code']));
        const durationMs = performance.now() - startedAt;
        telemetry.operationSeconds.observe({ operation: name, type, outcome }, durationMs / 1_000);
        if (slowOperationMs > 0 && durationMs >= slowOperationMs) logSlow(prepared, context, { durationMs, planMs, fetched });
        return result;
      });
    } finally {
      telemetry.operationsInFlight.dec();
    }
  }

  function logSlow(prepared: PreparedOperation<Context>, context: Context, times: { durationMs: number; planMs: number; fetched: Record<string, FetchTimes> }): void {
    const { document, operation } = prepared;
    const rounded = ([subgraph, { fetches, durationMs }]: [string, FetchTimes]) => [subgraph, { fetches, durationMs: Math.round(durationMs) }];
    logger.warn(
      {
        operation: operation.name?.value.slice(0, 128) ?? null,
        type: operation.operation,
        hash: hashWithoutLiterals(document),
        requestId: 'requestId' in context ? context.requestId : undefined,
        traceId: trace.getActiveSpan()?.spanContext().traceId,
        durationMs: Math.round(times.durationMs),
        planMs: Math.round(times.planMs),
        subgraphs: Object.fromEntries(Object.entries(times.fetched).map(rounded)),
        plan: planned.has(operation) ? formatWithoutLiterals(prepared.plan()).slice(0, LONGEST_PLAN) : null,
      },
      'slow operation',
    );
  }

  return {
    sources: clock.timed,
    watch: (prepared) => ({ ...prepared, run: (variables, context, signal) => observe(prepared, context, () => prepared.run(variables, context, signal)) }),
  };
}

/** `partial`: some of it was answered. */
const outcomeOf = ({ data, errors }: FormattedExecutionResult): 'ok' | 'partial' | 'error' => (errors === undefined ? 'ok' : data == null ? 'error' : 'partial');
