import { smallGraph } from '../gateway/test/small-graph.ts';
import type { ClientHandlers } from './load/clients.ts';
import type { Load } from './load/figures.ts';
import type { GatewayHandlers } from './load/gateway.ts';
import { startProcess, type Child, type Handlers } from './load/processes.ts';
import { allTold, Publisher, warmUp } from './load/publish.ts';
import { CLIENTS_PER_TOPIC, eventsPerSecond, program, SUBSCRIPTION, type Scale } from './load/scale.ts';
import { NODE_FLAGS } from './node-flags.ts';

/** Changes of many VMs, each watched by ten clients: from commit until a client's handler is called, and what the gateway takes for it. */
export async function measureSubscriptions({ clients: count, seconds }: Scale): Promise<Load> {
  await using gateway = startProcess<GatewayHandlers>(program('gateway'), NODE_FLAGS);
  await using clients = startProcess<ClientHandlers>(program('clients'));
  const { url, authorization, vmIds } = await gateway.ask('start', { vms: count / CLIENTS_PER_TOPIC, supergraphSdl: smallGraph().supergraphSdl });
  const publisher = new Publisher(vmIds, (change) => gateway.tell('publish', change));
  const perSecond = eventsPerSecond(count);
  await clients.ask('connect', { url, authorization, clients: count, query: SUBSCRIPTION, topics: vmIds });
  await warmUp(publisher, clients, perSecond);

  return await loaded({ gateway, clients, publisher, perSecond, seconds });
}

export interface Loaded {
  gateway: Child<Handlers>;
  clients: Child<ClientHandlers>;
  publisher: Publisher;
  perSecond: number;
  seconds: number;
}

/** Events at a steady rate, to clients that are there already. */
export async function loaded({ gateway, clients, publisher, perSecond, seconds }: Loaded): Promise<Load> {
  const before = gateway.usage();
  const expected = CLIENTS_PER_TOPIC * (await publisher.steadily(perSecond, seconds));
  const { residentBytes, cpuSeconds } = gateway.usage();
  const { latencies, outOfOrder } = await allTold(clients, expected);
  return { latencies, arrived: latencies.length, expected, outOfOrder, rate: expected / seconds, residentBytes, cpuShare: (cpuSeconds - before.cpuSeconds) / seconds };
}
