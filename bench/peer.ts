import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientHandlers } from './load/clients.ts';
import type { Load } from './load/figures.ts';
import type { GatewayHandlers } from './load/gateway.ts';
import { startProcess, type Child, type Handlers } from './load/processes.ts';
import { Publisher, warmUp } from './load/publish.ts';
import { CLIENTS_PER_TOPIC, eventsPerSecond, program, SUBSCRIPTION, type Scale } from './load/scale.ts';
import type { SubgraphsHandlers } from './load/subgraphs.ts';
import { NODE_FLAGS } from './node-flags.ts';
import { loaded, type Loaded } from './subscriptions.ts';

export interface Sides {
  novacron: Load;
  hive: Load;
}

interface HiveHandlers extends Handlers {
  /** Returns its URL. */
  start(options: { supergraphSdl: string }): Promise<string>;
}

/** Each goes first as often as the other. */
const TURNS = [['novacron', 'hive'], ['hive', 'novacron']] as const;
const PEER = join(import.meta.dirname, 'peer');

/**
 * The same subscriptions, to the same subgraphs over HTTP, through both gateways, in turns; while one is measured the other
 * has its clients, too, and nothing happens.
 */
export async function measurePeer({ clients: all, seconds }: Scale): Promise<Sides> {
  install();
  const count = all / 5;
  const perSecond = eventsPerSecond(count);
  await using opened = new AsyncDisposableStack();
  const start = <Served extends Handlers>(file: string, flags: readonly string[] = []): Child<Served> => opened.use(startProcess<Served>(file, flags));
  const subgraphs = start<SubgraphsHandlers>(program('subgraphs'));
  const { urls, supergraphSdl, vmIds } = await subgraphs.ask('start', count / CLIENTS_PER_TOPIC);

  const gateway = start<GatewayHandlers>(program('gateway'), NODE_FLAGS);
  const { url, authorization } = await gateway.ask('start', { vms: 0, subgraphs: urls, supergraphSdl });
  const hive = start<HiveHandlers>(join(PEER, 'gateway.mjs'), NODE_FLAGS);
  const sides: Record<keyof Sides, Loaded> = {
    novacron: await side(gateway, new Publisher(vmIds, (change) => gateway.tell('publish', change)), url, authorization),
    hive: await side(hive, new Publisher(vmIds, (change) => subgraphs.tell('publish', change)), await hive.ask('start', { supergraphSdl }), null),
  };

  const found: Record<keyof Sides, Load[]> = { novacron: [], hive: [] };
  for (const turn of TURNS) {
    for (const by of turn) found[by].push(await loaded(sides[by]));
  }
  return { novacron: together(found.novacron), hive: together(found.hive) };

  async function side(measured: Child<Handlers>, publisher: Publisher, at: string, as: string | null): Promise<Loaded> {
    const clients = start<ClientHandlers>(program('clients'));
    await clients.ask('connect', { url: at, authorization: as, clients: count, query: SUBSCRIPTION, topics: vmIds });
    await warmUp(publisher, clients, perSecond);
    return { gateway: measured, clients, publisher, perSecond, seconds: seconds / 2 };
  }
}

/** Not among NovaCron's own packages, which everyone installs who starts it. */
function install(): void {
  if (existsSync(join(PEER, 'node_modules'))) return;
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: PEER, stdio: ['ignore', 2, 2] });
}

function together(turns: readonly Load[]): Load {
  const sum = (of: (load: Load) => number): number => turns.reduce((total, load) => total + of(load), 0);
  return {
    latencies: turns.flatMap(({ latencies }) => Array.from(latencies)),
    arrived: sum((load) => load.arrived),
    expected: sum((load) => load.expected),
    outOfOrder: sum((load) => load.outOfOrder),
    rate: sum((load) => load.rate ?? 0) / turns.length,
    residentBytes: Math.max(...turns.map(({ residentBytes }) => residentBytes)),
    cpuShare: sum((load) => load.cpuShare ?? 0) / turns.length,
  };
}
