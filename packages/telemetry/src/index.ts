export { failSpan, inSpan, untraced, type SpanDescription } from './span.ts';
export { carryTrace, inCarriedTrace, type TraceCarrier } from './trace-carrier.ts';
