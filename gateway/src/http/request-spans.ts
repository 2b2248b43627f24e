import type { ServerResponse } from 'node:http';
import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** What is worth a trace: not probes, and not the playground's files. */
const TRACED = /^\/(graphql|api|uploads)(\/|$)/;

const tracer = trace.getTracer('novacron');

/**
 * Begins the trace of each request, or goes on with that of its `traceparent`: whatever answers it, runs in it. Attributes are
 * those of https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server; the path as it was asked is none of them,
 * since it may carry a token.
 */
export function traceRequests(app: FastifyInstance): void {
  const spans = new WeakMap<FastifyRequest, Span>();

  app.addHook('onRequest', (request, reply, done) => {
    const { url: route } = request.routeOptions;
    if (route === undefined || !TRACED.test(route)) return done();
    const attributes = { 'http.request.method': request.method, 'http.route': route, 'novacron.request.id': request.id };
    const parent = propagation.extract(ROOT_CONTEXT, request.headers);
    const span = tracer.startSpan(`${request.method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
    spans.set(request, span);
    if (span.isRecording()) reply.raw.once('close', () => endWith(span, reply.raw));
    done();
  });

  // Not before the body was read: that goes on in the context of the socket.
  app.addHook('preHandler', (request, _reply, done) => {
    const span = spans.get(request);
    // A stream of events outlives any trace that one could look at.
    if (span === undefined || request.headers.accept?.includes('text/event-stream')) return done();
    context.with(trace.setSpan(ROOT_CONTEXT, span), done);
  });
}

function endWith(span: Span, { statusCode, writableFinished }: ServerResponse): void {
  span.setAttribute('http.response.status_code', statusCode);
  if (!writableFinished) span.setAttribute('error.type', 'aborted');
  if (!writableFinished || statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
