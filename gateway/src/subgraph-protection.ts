import type { RequestContext } from '@novacron/contracts';
import { createProtection, type Circuit, type DataSource } from '@novacron/transport';
import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';

const TIMEOUT_MS = 10_000;
/** Of a request's time, what its subgraphs may have: who waited for a part is told about that part, and gets the others. */
const SHARE = 0.9;

const LEVELS: Readonly<Record<Circuit, number>> = { closed: 0, 'half-open': 1, open: 2 };

export interface SubgraphProtectionOptions {
  /** How long one fetch of one subgraph may take, with its retries: 10 s. */
  timeoutMs?: number | undefined;
  /** How long a request may take. */
  requestTimeoutMs: number;
  registry: Registry;
  logger: Logger;
}

export interface ProtectedSubgraphs<Context> {
  sources: Readonly<Record<string, DataSource<Context>>>;
  /** Protects one that comes later, or again at another address. */
  protect(source: DataSource<Context>): DataSource<Context>;
  /** Which of them are asked at the moment. */
  circuits(): Record<string, Circuit>;
}

/** The data sources of a gateway with deadlines, retries and circuit breakers, counted in its metrics. */
export function protectSubgraphs<Context extends object = RequestContext>(
  sources: Readonly<Record<string, DataSource<Context>>>,
  { timeoutMs = TIMEOUT_MS, requestTimeoutMs, registry, logger }: SubgraphProtectionOptions,
): ProtectedSubgraphs<Context> {
  const registers = [registry];
  const failures = new Counter({
    name: 'novacron_subgraph_failures_total',
    help: 'Fetches that a subgraph gave no answer to, after their retries, by reason.',
    labelNames: ['subgraph', 'reason'] as const,
    registers,
  });
  const retries = new Counter({ name: 'novacron_subgraph_retries_total', help: 'Queries that a subgraph was asked once more.', labelNames: ['subgraph'] as const, registers });
  const circuit = new Gauge({
    name: 'novacron_subgraph_circuit',
    help: 'Whether a subgraph is asked: 0 yes, 1 one request tries it (half-open), 2 no (open).',
    labelNames: ['subgraph'] as const,
    registers,
  });
  const protection = createProtection<Context>({
    timeoutMs,
    operationTimeoutMs: requestTimeoutMs * SHARE,
    metrics: {
      failed: (subgraph, reason) => failures.inc({ subgraph, reason }),
      retried: (subgraph) => retries.inc({ subgraph }),
      circuit: (subgraph, state) => circuit.set({ subgraph }, LEVELS[state]),
    },
    logger,
  });
  return {
    sources: Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, protection.protect(source)])),
    protect: (source) => protection.protect(source),
    circuits: () => protection.circuits(),
  };
}
