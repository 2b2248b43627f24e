import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Attributes } from '@opentelemetry/api';
import { suppressTracing } from '@opentelemetry/core';
import { DomainError } from '@novacron/core';

/** Until a provider is registered (app/src/tracing), everything here comes down to reading one variable. */
const tracer = trace.getTracer('novacron');

export interface SpanDescription {
  /** INTERNAL unless told. */
  kind?: SpanKind;
  /** Ids and names, never what a client has sent. */
  attributes?: Attributes;
  /** Whether it is worth a trace of its own, where there is none. */
  begins?: boolean;
  /** How an error is named: a word of a closed list. The domain's code unless told. */
  codeOf?: (error: unknown) => string;
}

/**
 * Runs a part of the work that the current trace is about. Begins no trace unless told: what nobody traces runs as it is,
 * and so does what outlives the span that it was begun in, as a loop does that a request has started.
 */
export async function inSpan<Result>(name: string, description: SpanDescription, run: () => Promise<Result>): Promise<Result> {
  const parent = trace.getSpan(context.active());
  const continues = parent !== undefined && (parent.isRecording() || parent.spanContext().isRemote === true);
  if (!continues && !(parent === undefined && description.begins)) return run();
  const { kind = SpanKind.INTERNAL, attributes = {}, codeOf = (error) => DomainError.from(error).code } = description;
  const span = tracer.startSpan(name, { kind, attributes });
  try {
    return await context.with(trace.setSpan(context.active(), span), run);
  } catch (error) {
    failSpan(codeOf(error), span);
    throw error;
  } finally {
    span.end();
  }
}

/** Runs what is too frequent to trace, or outlives any trace: nothing in it is one's part or beginning. */
export const untraced = <Result>(run: () => Result): Result => context.with(suppressTracing(ROOT_CONTEXT), run);

/** Marks a span, the current one unless told, as failed: with a code, since a message may hold what a client has sent. */
export function failSpan(code: string, span = trace.getActiveSpan()): void {
  if (span?.isRecording()) span.setAttribute('error.type', code).setStatus({ code: SpanStatusCode.ERROR });
}
