import { context, diag, DiagLogLevel, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { defaultResource, detectResources, envDetector, hostDetector, resourceFromAttributes, serviceInstanceIdDetector } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { Logger } from 'pino';
import { traceLibvirtCalls } from './libvirt-calls.ts';
import type { Tracing, TracingSettings } from './start.ts';

const FLUSH_MS = 3_000;

/**
 * The tracer of the OTEL_* variables: sampler, batches, limits, endpoint and headers are read by the SDK. Baggage is not passed on: a
 * client could fill it with anything, for every process behind the gateway.
 */
export async function registerTracing(settings: TracingSettings, logger: Logger): Promise<Tracing> {
  const log = logger.child({ part: 'tracing' });
  const say = (level: 'warn' | 'error') => (message: string) => log[level](message);
  const silent = () => {};
  diag.setLogger({ error: say('error'), warn: say('warn'), info: silent, debug: silent, verbose: silent }, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });

  const named = resourceFromAttributes({ 'service.name': settings.serviceName });
  const detected = detectResources({ detectors: [hostDetector, serviceInstanceIdDetector, envDetector] });
  const provider = new BasicTracerProvider({ resource: defaultResource().merge(detected).merge(named), spanProcessors: [await openProcessor(settings)] });
  const contexts = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(contexts);
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  const stopListening = traceLibvirtCalls();

  return {
    async close() {
      stopListening();
      trace.disable();
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, FLUSH_MS);
      const flushed = provider.shutdown().catch((error: unknown) => log.warn({ err: error }, 'the last spans could not be exported'));
      await Promise.race([flushed, late.promise]).finally(() => clearTimeout(timer));
      propagation.disable();
      context.disable();
      diag.disable();
    },
  };
}

async function openProcessor({ exporter, protocol }: TracingSettings): Promise<SpanProcessor> {
  if (exporter === 'console') return new SimpleSpanProcessor(new ConsoleSpanExporter());
  const { OTLPTraceExporter } = await (protocol === 'http/json' ? import('@opentelemetry/exporter-trace-otlp-http') : import('@opentelemetry/exporter-trace-otlp-proto'));
  return new BatchSpanProcessor(new OTLPTraceExporter());
}
