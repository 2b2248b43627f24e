import { InvalidSupergraph, openSupergraphFile, type Supergraph } from '@novacron/supergraph';
import { stopServer, type DataSource } from '@novacron/transport';
import type { Logger } from 'pino';
import { createGraph } from '../graph.ts';
import { compressAnswers } from '../http/compression.ts';
import { routeGraphql } from '../http/graphql.ts';
import { listening } from '../http/listen.ts';
import { routeMetrics } from '../http/metrics.ts';
import { supergraphStatus } from '../http/probes.ts';
import { createHttpServer } from '../http/server.ts';
import { createOperationObserver } from '../observation/operation-observer.ts';
import { protectSubgraphs } from '../subgraph-protection.ts';
import { measureSupergraph } from '../supergraph-metrics.ts';
import { createTelemetry } from '../telemetry.ts';
import { isHttpUrl, type Arguments } from './arguments.ts';
import { createHttpSubgraph } from './http-subgraph.ts';
import { createStandalonePresentation, formatStandaloneError, type StandaloneContext } from './presentation.ts';

const REQUEST_TIMEOUT_MS = 15_000;
const SLOW_OPERATION_MS = 1_000;

export interface StandaloneGateway {
  url: string;
  subgraphs: readonly { name: string; url: string }[];
  /** Waits for requests in flight, five seconds at most. */
  close(): Promise<void>;
}

/**
 * Any federation 2 supergraph over HTTP. InvalidSupergraph for a file that can't be served, for a subgraph whose address
 * is not known, and for an address of a subgraph that is not there; CONFLICT for a port that is taken.
 */
export async function startStandaloneGateway({ supergraphFile, host, port, subgraphUrls }: Omit<Arguments, 'help'>, logger: Logger): Promise<StandaloneGateway> {
  const opened = new AsyncDisposableStack();
  /** By name and address. Never closed before the end: operations of an earlier supergraph may come back to one. */
  const known = new Map<string, DataSource<StandaloneContext>>();
  opened.defer(async () => void (await Promise.all([...known.values()].map((source) => source.close()))));

  const addressed = ({ subgraphs }: Supergraph) => subgraphs.map(({ name, url }) => ({ name, url: subgraphUrls.get(name) ?? url }));
  function accept(supergraph: Supergraph): void {
    const names = supergraph.subgraphs.map(({ name }) => name);
    const unknown = [...subgraphUrls.keys()].find((name) => !names.includes(name));
    if (unknown !== undefined) throw new InvalidSupergraph(`There is no subgraph "${unknown}" in it: its subgraphs are ${names.join(', ')}.`);
    const nowhere = addressed(supergraph).find(({ url }) => !isHttpUrl(url));
    if (nowhere !== undefined) throw new InvalidSupergraph(`It has no address for the subgraph "${nowhere.name}": add --subgraph ${nowhere.name}=URL.`);
  }

  try {
    const supergraphs = await openSupergraphFile({ path: supergraphFile, accept, logger });
    opened.defer(() => supergraphs.close());
    const telemetry = createTelemetry();
    measureSupergraph(supergraphs, telemetry.registry);
    const subgraphs = protectSubgraphs<StandaloneContext>({}, { requestTimeoutMs: REQUEST_TIMEOUT_MS, registry: telemetry.registry, logger });

    function sourceOf(name: string, url: string): DataSource<StandaloneContext> {
      const key = `${name} ${url}`;
      const source = known.get(key) ?? createHttpSubgraph<StandaloneContext>(name, url);
      known.set(key, source);
      return subgraphs.protect(source);
    }
    const presentation = createStandalonePresentation(logger);
    const observer = createOperationObserver<StandaloneContext>({ telemetry, slowOperationMs: SLOW_OPERATION_MS, isSignedIn: () => true, logger });
    const sourcesOf = (supergraph: Supergraph) => observer.sources(Object.fromEntries(addressed(supergraph).map(({ name, url }) => [name, sourceOf(name, url)])));
    // How long its lists are, nobody has told: an estimate would be a guess.
    const graph = createGraph({ supergraphs, sourcesOf, presentation, observer, telemetry, protection: { maximumCost: 0 }, logger });
    opened.defer(() => graph.close());

    const app = createHttpServer({ allowedOrigins: [], telemetry, logger, tls: null });
    opened.defer(() => stopServer(app));
    await compressAnswers(app);
    routeGraphql(app, {
      graph,
      contextOf: async (request) => ({ requestId: request.id }),
      formatError: (thrown, requestId) => formatStandaloneError(thrown, requestId, logger),
      timeoutMs: REQUEST_TIMEOUT_MS,
    });
    app.get('/health', async () => ({ status: 'ok' }));
    app.get('/ready', async (_request, reply) =>
      reply.header('cache-control', 'no-store').send({ ready: true, checks: { supergraph: true }, supergraph: supergraphStatus(supergraphs), subgraphs: subgraphs.circuits() }),
    );
    routeMetrics(app, telemetry, null);

    await listening(app.listen({ host, port }), port, '--port');
    const address = app.server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`, subgraphs: addressed(supergraphs.current), close: () => opened.disposeAsync() };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}
