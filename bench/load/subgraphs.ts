/** The small services over HTTP in a process of their own, and their events as server-sent events: what any federation gateway can be put before. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { newId, type SessionId, type UserId, type VmId } from '@novacron/core';
import type { EventRecord, RequestContext } from '@novacron/contracts';
import { createInProcessDataSource } from '@novacron/transport';
import { subscribe } from 'graphql';
import { createHandler } from 'graphql-sse/lib/use/http';
import { pino } from 'pino';
import { ListenerIndex } from '../../gateway/src/events/listener-index.ts';
import { createEventsSchema } from '../../gateway/src/events/schema.ts';
import { STREAMS, type EventStream } from '../../gateway/src/events/streams.ts';
import { smallGraph } from '../../gateway/test/small-graph.ts';
import { serveParent } from './processes.ts';
import { vmChanged, WORLD_TENANT, type Change } from './world.ts';

export interface SubgraphsReady {
  /** name -> address */
  urls: Record<string, string>;
  /** With these addresses in it. */
  supergraphSdl: string;
  vmIds: VmId[];
}

const { world, subgraphs, supergraphSdl } = smallGraph();
const sources = new Map(subgraphs.map((subgraph) => [subgraph.name, createInProcessDataSource(subgraph, pino({ level: 'silent' }))]));
const listeners = new ListenerIndex<'vm', object>(pino({ level: 'silent' }));
let position = 0;
const vmChangedStream = STREAMS['vmChanged'] as EventStream; // fed by events, as its name says
/** Whoever asks is this one. */
const context: RequestContext = {
  viewer: { userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: [{ role: 'operator', tenantId: WORLD_TENANT }] },
  requestId: newId(),
  address: null,
  userAgent: null,
};

/** Every change of these VMs from now on, as the field of the schema has it. */
async function* changes({ ids }: { ids: readonly string[] }): AsyncGenerator<{ vmChanged: object }> {
  const queue: object[] = [];
  let wake = Promise.withResolvers<void>();
  const stop = listeners.add('vm', ids, (value) => {
    queue.push(value);
    wake.resolve();
  });
  try {
    for (;;) {
      await wake.promise;
      wake = Promise.withResolvers();
      for (const value of queue.splice(0)) yield { vmChanged: value };
    }
  } finally {
    stop();
  }
}

const streamEvents = createHandler({ schema: createEventsSchema(), subscribe: (args) => subscribe({ ...args, rootValue: { vmChanged: changes } }) });

const answer: RequestListener = async (request, response) => {
  const name = /^\/(\w+)/.exec(request.url ?? '')?.[1] ?? '';
  if (name === 'events') return streamEvents(request, response);
  const { query, variables, operationName } = JSON.parse(await text(request)) as { query: string; variables?: Record<string, unknown>; operationName?: string };
  const result = await sources.get(name)?.process({ query, variables, operationName, context });
  response.setHeader('content-type', 'application/json').end(JSON.stringify(result));
};

const server = createServer(answer);

const handlers = {
  async start(vms: number): Promise<SubgraphsReady> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo; // of a server that listens on TCP
    const urlOf = (name: string): string => `http://127.0.0.1:${port}/${name}`;
    return {
      urls: Object.fromEntries([...sources.keys()].map((name) => [name, urlOf(name)])),
      supergraphSdl: supergraphSdl.replaceAll(/url: "novacron:(\w+)"/g, (_, name: string) => `url: "${urlOf(name)}"`),
      vmIds: Array.from({ length: vms }, () => world.addVm(WORLD_TENANT).id),
    };
  },
  publish(change: Change): void {
    const event = { ...vmChanged(change), position: (position += 1), at: new Date().toISOString() } as EventRecord; // as a log would record it
    listeners.tell('vm', change.vmId, vmChangedStream.value(event));
  },
};

export type SubgraphsHandlers = typeof handlers;
serveParent(handlers);
