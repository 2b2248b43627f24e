import type { QueryPlan } from '@apollo/query-planner';
import type { PreparedOperation, SubgraphSource } from '@novacron/supergraph';
import { failSpan, inSpan } from '@novacron/telemetry';
import { trace } from '@opentelemetry/api';
import type { FormattedExecutionResult } from 'graphql';
import type { Logger } from 'pino';
import type { Telemetry } from '../telemetry.ts';
import { createFetchClock, type FetchTimes } from './fetch-times.ts';
import { formatWithoutLiterals, hashWithoutLiterals } from './literals.ts';
import { createOperationNames } from './operation-names.ts';

/** Longer plans are cut: a log line is for people. */
const LONGEST_PLAN = 20_000;

interface Planned {
  queryPlan: QueryPlan;
  durationMs: number;
}

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
  /** Plans for a run: counted, and timed where there was no plan yet. */
  plan(context: Context, isNew: boolean, make: () => QueryPlan): Promise<QueryPlan>;
  /** The same operation; each run is counted, timed, traced and, when it was slow, logged. */
  watch(prepared: PreparedOperation<Context>): PreparedOperation<Context>;
}

/** Sees to it that every query and mutation can be seen through, without a word of what was sent or answered. */
export function createOperationObserver<Context extends object>({ telemetry, slowOperationMs, isSignedIn, logger }: ObserverOptions<Context>): OperationObserver<Context> {
  const nameOf = createOperationNames();
  const clock = createFetchClock<Context>(telemetry);
  /** What is under way, with the plan that it came to. */
  const planned = new WeakMap<Context, Planned>();

  async function plan(context: Context, isNew: boolean, make: () => QueryPlan): Promise<QueryPlan> {
    telemetry.plans.inc({ cache: isNew ? 'miss' : 'hit' });
    const startedAt = performance.now();
    const queryPlan = isNew ? await inSpan('plan', {}, async () => make()) : make();
    const durationMs = isNew ? performance.now() - startedAt : 0;
    if (isNew) telemetry.planSeconds.observe(durationMs / 1_000);
    planned.set(context, { queryPlan, durationMs });
    return queryPlan;
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
        const { result, fetched } = await clock.during(context, run);
        const outcome = outcomeOf(result);
        if (outcome !== 'ok') failSpan(String(result.errors?.[0]?.extensions?.['code']));
        const durationMs = performance.now() - startedAt;
        telemetry.operationSeconds.observe({ operation: name, type, outcome }, durationMs / 1_000);
        if (slowOperationMs > 0 && durationMs >= slowOperationMs) logSlow(prepared, context, { durationMs, fetched });
        return result;
      });
    } finally {
      telemetry.operationsInFlight.dec();
    }
  }

  function logSlow(prepared: PreparedOperation<Context>, context: Context, times: { durationMs: number; fetched: Record<string, FetchTimes> }): void {
    const { document, operation } = prepared;
    const run = planned.get(context);
    const rounded = ([subgraph, { fetches, durationMs }]: [string, FetchTimes]) => [subgraph, { fetches, durationMs: Math.round(durationMs) }];
    logger.warn(
      {
        operation: operation.name?.value.slice(0, 128) ?? null,
        type: operation.operation,
        hash: hashWithoutLiterals(document),
        requestId: 'requestId' in context ? context.requestId : undefined,
        traceId: trace.getActiveSpan()?.spanContext().traceId,
        durationMs: Math.round(times.durationMs),
        planMs: Math.round(run?.durationMs ?? 0),
        subgraphs: Object.fromEntries(Object.entries(times.fetched).map(rounded)),
        plan: run === undefined ? null : formatWithoutLiterals(run.queryPlan).slice(0, LONGEST_PLAN),
      },
      'slow operation',
    );
  }

  return {
    sources: clock.timed,
    plan,
    watch: (prepared) => ({ ...prepared, run: (variables, context, signal) => observe(prepared, context, () => prepared.run(variables, context, signal)) }),
  };
}

/** `partial`: some of it was answered. */
const outcomeOf = ({ data, errors }: FormattedExecutionResult): 'ok' | 'partial' | 'error' => (errors === undefined ? 'ok' : data == null ? 'error' : 'partial');
