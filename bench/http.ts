import { smallGraph } from '../gateway/test/small-graph.ts';
import type { Load } from './load/figures.ts';
import type { GatewayHandlers } from './load/gateway.ts';
import type { HttpClientHandlers } from './load/http-clients.ts';
import { startProcess } from './load/processes.ts';
import { program, type Scale } from './load/scale.ts';
import { NODE_FLAGS } from './node-flags.ts';

const VMS = 20;
/** Fields of two subgraphs. */
const QUERY = '{ vms { id name state host { name } createdBy { email } } }';

/** Queries by a thousand clients at once: each asks again as soon as it is answered. */
export async function measureHttp({ clients, seconds }: Scale): Promise<Load> {
  await using gateway = startProcess<GatewayHandlers>(program('gateway'), NODE_FLAGS);
  await using asking = startProcess<HttpClientHandlers>(program('http-clients'));
  const { url, authorization } = await gateway.ask('start', { vms: VMS, supergraphSdl: smallGraph().supergraphSdl });
  const questions = { url, authorization, clients: clients / 10, query: QUERY };
  await asking.ask('ask', { ...questions, seconds: 1 }); // the code is compiled
  const before = gateway.usage();
  const { latencies, asked, fault } = await asking.ask('ask', { ...questions, seconds });
  const { residentBytes, cpuSeconds } = gateway.usage();
  if (fault !== null) process.stderr.write(`  An answer was ${fault}\n`);
  return { latencies, arrived: latencies.length, expected: asked, outOfOrder: 0, rate: latencies.length / seconds, residentBytes, cpuShare: (cpuSeconds - before.cpuSeconds) / seconds };
}
