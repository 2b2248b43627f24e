import { smallGraph } from '../gateway/test/small-graph.ts';
import { startProcess } from './load/processes.ts';
import type { ClientHandlers } from './load/clients.ts';
import type { Load } from './load/figures.ts';
import type { GatewayHandlers } from './load/gateway.ts';
import { allTold, Publisher, warmUp } from './load/publish.ts';
import { program, SUBSCRIPTION, type Scale } from './load/scale.ts';
import { NODE_FLAGS } from './node-flags.ts';

const EVENTS = 20;

/** One event for all clients at once: from commit until the last of them has it. */
export async function measureBroadcast({ clients: count }: Scale): Promise<Load> {
  await using gateway = startProcess<GatewayHandlers>(program('gateway'), NODE_FLAGS);
  await using clients = startProcess<ClientHandlers>(program('clients'));
  const { url, authorization, vmIds } = await gateway.ask('start', { vms: 1, supergraphSdl: smallGraph().supergraphSdl });
  const publisher = new Publisher(vmIds, (change) => gateway.tell('publish', change));
  await clients.ask('connect', { url, authorization, clients: count, query: SUBSCRIPTION, topics: vmIds });
  await warmUp(publisher, clients, 1);

  const latencies: number[] = [];
  let [arrived, outOfOrder] = [0, 0];
  for (let event = 0; event < EVENTS; event += 1) {
    publisher.one();
    const told = await allTold(clients, count);
    latencies.push(Math.max(...told.latencies));
    arrived += told.latencies.length;
    outOfOrder += told.outOfOrder;
  }
  const { residentBytes } = gateway.usage();
  return { latencies, arrived, expected: EVENTS * count, outOfOrder, rate: null, residentBytes, cpuShare: null };
}
