import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EnvironmentError, readEnvironment } from '../environment.ts';

/** What of OpenTelemetry a process has loaded once it has started tracing as its environment says. */
function loaded(env: Record<string, string>): string[] {
  const program = `
    import { createRequire } from 'node:module';
    const { readEnvironment } = await import('./app/src/environment.ts');
    const { startTracing } = await import('./app/src/tracing/start.ts');
    const tracing = await startTracing(readEnvironment().tracing, { child: () => console });
    await tracing.close();
    const files = Object.keys(createRequire(import.meta.url).cache);
    console.log(JSON.stringify([...new Set(files.flatMap((file) => /@opentelemetry\\/([^/]+)/.exec(file)?.[1] ?? []))]));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { cwd: join(import.meta.dirname, '../../..'), env: { ...env, HOME: '/tmp' }, encoding: 'utf8' });
  return JSON.parse(output) as string[];
}

it('nothing is loaded unless traces are wanted', () => {
  expect(loaded({})).toEqual([]);
  expect(loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'true' })).toEqual([]);
  expect(loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' })).toContain('exporter-trace-otlp-proto');
});

it.each([
  [{}, null],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, { exporter: 'otlp', protocol: 'http/protobuf', serviceName: 'novacron' }],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:4318/v1/traces', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_SERVICE_NAME: 'gw' }, { exporter: 'otlp', protocol: 'http/json', serviceName: 'gw' }],
  [{ OTEL_TRACES_EXPORTER: 'console' }, { exporter: 'console', protocol: 'http/protobuf', serviceName: 'novacron' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_TRACES_EXPORTER: 'none' }, null],
])('%j says how to trace', (env, settings) => {
  expect(readEnvironment(env).tracing).toEqual(settings);
});

it.each([{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, { OTEL_TRACES_SAMPLER: 'sometimes' }, { OTEL_TRACES_SAMPLER_ARG: '2' }])('%j is refused', (env) => {
  expect(() => readEnvironment(env)).toThrow(EnvironmentError);
});
