import type { Logger } from 'pino';

/** How traces are exported: the part of the OTEL_* variables that decides what is loaded. All others the SDK reads itself. */
export interface TracingSettings {
  exporter: 'otlp' | 'console';
  protocol: 'http/protobuf' | 'http/json';
  serviceName: string;
}

export interface Tracing {
  /** Sends what was not sent yet, three seconds at most, and traces no more. */
  close(): Promise<void>;
}

/** Traces this process from now on. Without settings nothing is loaded: every span in the code stays one of the API's that do nothing. */
export async function startTracing(settings: TracingSettings | null, logger: Logger): Promise<Tracing> {
  if (settings === null) return { close: () => Promise.resolve() };
  const { registerTracing } = await import('./provider.ts');
  return registerTracing(settings, logger);
}
