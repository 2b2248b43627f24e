import { context, propagation, ROOT_CONTEXT } from '@opentelemetry/api';

/** A place in a trace, on its way to another process: `traceparent` and perhaps `tracestate` of W3C Trace Context. */
export type TraceCarrier = Readonly<Record<string, string>>;

/** Where we are in the current trace; empty when nobody traces. */
export function carryTrace(): TraceCarrier {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier;
}

/** Goes on with a trace that was begun elsewhere, if there is one; with none of our own. Headers of a request will do as a carrier. */
export const inCarriedTrace = <Result>(carrier: Readonly<Record<string, unknown>> | null, run: () => Result): Result =>
  context.with(carrier === null ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, carrier), run);
