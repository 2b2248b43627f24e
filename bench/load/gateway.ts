/** The gateway over small services, in a process of its own: what it takes is its own. */
import type { VmId } from '@novacron/core';
import { pino } from 'pino';
import { createHttpSubgraph } from '../../gateway/src/standalone/http-subgraph.ts';
import { startGateway, type Fixture } from '../../gateway/test/gateway-fixture.ts';
import { smallServices } from '../../gateway/test/small-graph.ts';
import { serveParent } from './processes.ts';
import { vmChanged, WORLD_TENANT, type Change } from './world.ts';

export interface GatewayOptions {
  /** VMs in its world. */
  vms: number;
  /** Where subgraphs are that are not in this process: all of them, by name. Their world is not in this process either. */
  subgraphs?: Readonly<Record<string, string>>;
  /** Composed elsewhere, as for any gateway that is started. */
  supergraphSdl: string;
}

export interface Ready {
  url: string;
  authorization: string;
  /** None where the world is elsewhere. */
  vmIds: VmId[];
}

/** Events that the log keeps: enough for whoever was away for a while. */
const KEPT = 5_000;
const SESSION_MS = 24 * 60 * 60_000;

let fixture: Fixture | undefined;

function started(): Fixture {
  if (fixture === undefined) throw new Error('The gateway has not been started.');
  return fixture;
}

const handlers = {
  async start({ vms, subgraphs, supergraphSdl }: GatewayOptions): Promise<Ready> {
    fixture = await startGateway({
      graph: { ...smallServices(), supergraphSdl },
      ...(subgraphs === undefined ? {} : { dataSources: () => Object.fromEntries(Object.entries(subgraphs).map(([name, url]) => [name, createHttpSubgraph(name, url)])) }),
      options: { logger: pino({ level: 'warn' }, pino.destination(2)) },
    });
    const { gateway, world, authority } = fixture;
    const vmIds = Array.from({ length: vms }, () => world.addVm(WORLD_TENANT).id);
    return { url: gateway.url, authorization: `Bearer ${authority.signIn([['operator', WORLD_TENANT]], SESSION_MS).token}`, vmIds };
  },
  publish(change: Change): void {
    const { log, world } = started();
    const { position } = log.append(vmChanged(change));
    if (position % KEPT > 0) return;
    log.forgetUpTo(position - KEPT);
    world.fetches.length = 0; // which it counts for tests
  },
  /** Bytes on the heap that are in use, after a collection: --expose-gc. */
  heap(): number {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  },
};

export type GatewayHandlers = typeof handlers;
serveParent(handlers, async () => fixture?.close());
