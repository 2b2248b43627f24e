import { ERROR_CODES } from '@novacron/core';
import type { SubgraphSource } from '@novacron/supergraph';
import type { Telemetry } from '../telemetry.ts';

/** What one operation asked of a subgraph. */
export interface FetchTimes {
  fetches: number;
  /** Of all of them together; those that ran beside each other count each. */
  durationMs: number;
}

export interface FetchClock<Context> {
  /** The same subgraphs, their fetches timed and counted. */
  timed<Source extends SubgraphSource<Context>>(sources: Readonly<Record<string, Source>>): Record<string, Source>;
  /** Runs one operation; answers besides what was fetched for it, by subgraph. */
  during<Result>(context: Context, run: () => Promise<Result>): Promise<{ result: Result; fetched: Record<string, FetchTimes> }>;
}

const CODES: ReadonlySet<unknown> = new Set(ERROR_CODES);

/** Times what the gateway fetches, for its metrics and for the operation at hand. */
export function createFetchClock<Context extends object>({ fetchSeconds, fetchErrors }: Telemetry): FetchClock<Context> {
  /** What is under way, by the context that its fetches carry. */
  const running = new WeakMap<Context, Record<string, FetchTimes>>();

  function note(subgraph: string, context: Context, durationMs: number): void {
    fetchSeconds.observe({ subgraph }, durationMs / 1_000);
    const fetched = running.get(context);
    if (!fetched) return;
    const times = (fetched[subgraph] ??= { fetches: 0, durationMs: 0 });
    times.fetches += 1;
    times.durationMs += durationMs;
  }

  return {
    timed: (sources) =>
      Object.fromEntries(
        Object.entries(sources).map(([name, source]) => [
          name,
          {
            ...source,
            async process(request: Parameters<typeof source.process>[0]) {
              const startedAt = performance.now();
              const result = await source.process(request);
              note(name, request.context, performance.now() - startedAt);
              const code = result.errors?.[0]?.extensions?.['code'];
              if (result.errors) fetchErrors.inc({ subgraph: name, code: CODES.has(code) ? String(code) : 'other' });
              return result;
            },
          },
        ]),
      ),
    async during(context, run) {
      const fetched: Record<string, FetchTimes> = {};
      running.set(context, fetched);
      try {
        return { result: await run(), fetched };
      } finally {
        running.delete(context);
      }
    },
  };
}
