import { eventually } from '@novacron/testkit';
import { smallGraph } from '../gateway/test/small-graph.ts';
import type { Load } from './load/figures.ts';
import type { GatewayHandlers } from './load/gateway.ts';
import { sharedNow, startProcess } from './load/processes.ts';
import { Publisher } from './load/publish.ts';
import { CLIENTS_PER_TOPIC, eventsPerSecond, program, type Scale } from './load/scale.ts';
import type { VisitorHandlers } from './load/visitors.ts';
import { NODE_FLAGS } from './node-flags.ts';

export interface Soak {
  load: Load;
  visits: number;
  /** Bytes in use on the gateway's heap after a collection, after each minute. */
  heap: number[];
}

const SUBSCRIPTION = 'subscription ($ids: [ID!], $after: String) { vmChanged(ids: $ids, after: $after) { cursor vm { name state host { name } createdBy { email } } } }';
const CATCH_UP_MS = 60_000;

/** Clients that come, subscribe, go, and come back to where they were: nothing may be lost, and nothing be left behind of them. */
export async function measureSoak({ clients, minutes }: Scale): Promise<Soak> {
  const count = clients / 5;
  const perSecond = eventsPerSecond(count);
  await using gateway = startProcess<GatewayHandlers>(program('gateway'), [...NODE_FLAGS, '--expose-gc']);
  await using visitors = startProcess<VisitorHandlers>(program('visitors'));
  const { url, authorization, vmIds } = await gateway.ask('start', { vms: count / CLIENTS_PER_TOPIC, supergraphSdl: smallGraph().supergraphSdl });
  const publisher = new Publisher(vmIds, (change) => gateway.tell('publish', change));
  await visitors.ask('come', { url, authorization, count, query: SUBSCRIPTION, topics: vmIds });

  const before = gateway.usage();
  const heap: number[] = [];
  const residents: number[] = [];
  for (let minute = 1; minute <= minutes; minute += 1) {
    await publisher.steadily(perSecond, 60);
    heap.push(await gateway.ask('heap'));
    residents.push(gateway.usage().residentBytes);
    process.stderr.write(`    minute ${minute}: heap ${(heap.at(-1) ?? 0) / 1e6} MB\n`);
  }
  const { cpuSeconds } = gateway.usage();

  await visitors.ask('stay');
  const lastRoundAt = sharedNow();
  await publisher.steadily(perSecond, vmIds.length / perSecond);
  const behind = (): Promise<number> => visitors.ask('behind', lastRoundAt);
  await eventually('all visitors to be told of the last round', async () => (await behind()) === 0, { timeoutMs: CATCH_UP_MS }).catch(() => false);
  const { latencies, visits, arrived, lost, twice } = await visitors.ask('take');
  const load: Load = {
    latencies,
    arrived,
    expected: arrived + lost + (await behind()),
    outOfOrder: twice,
    rate: arrived / minutes / 60,
    residentBytes: Math.max(...residents),
    cpuShare: (cpuSeconds - before.cpuSeconds) / minutes / 60,
  };
  return { load, visits, heap };
}
