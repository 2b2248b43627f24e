/** WebSocket clients in a process of their own: they parse no more than they need to, so that they take little from whom they measure. */
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { readMark } from './marks.ts';
import { serveParent, sharedNow } from './processes.ts';

export interface Fleet {
  url: string;
  authorization: string | null;
  clients: number;
  query: string;
  /** The ids that the query's `ids` are: client n watches one of them, in turn. */
  topics: readonly string[];
}

export interface Told {
  /** Milliseconds from commit to the client's handler, of every message. */
  latencies: Float64Array;
  /** Messages that were not the next one of their VM: something was lost, or told twice. */
  outOfOrder: number;
}

/** How many open at a time. */
const BATCH = 100;
/** Each address has some 28,000 ports of its own. */
const ADDRESSES = 8;
const ACKNOWLEDGED = '{"type":"connection_ack"';
const NEXT = '"type":"next"';

interface Client {
  /** The mark of the last message. */
  sequence: number;
  at: number;
}

let clients: Client[] = [];
const sockets: WebSocket[] = [];
let latencies: number[] = [];
let outOfOrder = 0;

/** Resolves when it is connected and has asked; messages are counted from then on. */
function open({ url, authorization, query, topics }: Fleet, index: number): Promise<void> {
  const client: Client = { sequence: 0, at: 0 };
  clients.push(client);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    perMessageDeflate: false,
    skipUTF8Validation: true,
    localAddress: `127.0.0.${1 + (index % ADDRESSES)}`,
  });
  sockets.push(socket);
  socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: authorization === null ? {} : { authorization } })));
  socket.on('message', (data: Buffer) => {
    const now = sharedNow(); // first of all
    const message = data.toString('latin1');
    const mark = message.includes(NEXT) ? readMark(message) : null;
    if (mark !== null) {
      latencies.push(now - mark.at);
      if (client.sequence !== 0 && mark.sequence !== client.sequence + 1) outOfOrder += 1;
      Object.assign(client, mark);
    } else if (message.startsWith(ACKNOWLEDGED)) {
      socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables: { ids: [topics[index % topics.length]] } } }));
      resolve();
    } else if (message.includes('"type":"ping"')) {
      socket.send('{"type":"pong"}');
    } else {
      throw new Error(`A client was told: ${message.slice(0, 500)}`);
    }
  });
  socket.on('error', reject);
  socket.on('close', (code, reason) => {
    throw new Error(`A client was sent away: ${code} ${String(reason)}`);
  });
  return promise;
}

const handlers = {
  /** Returns how long it took, in milliseconds. */
  async connect(fleet: Fleet): Promise<number> {
    const startedAt = performance.now();
    for (let first = 0; first < fleet.clients; first += BATCH) {
      await Promise.all(Array.from({ length: Math.min(BATCH, fleet.clients - first) }, (_, index) => open(fleet, first + index)));
      await delay(1); // others want to be heard, too
    }
    return performance.now() - startedAt;
  },
  /** How many have not been told of a change that was committed then or later. */
  behind: (at: number): number => clients.filter((client) => client.at < at).length,
  told: (): number => latencies.length,
  /** What was told since this was last asked for. */
  take(): Told {
    const taken = { latencies: Float64Array.from(latencies), outOfOrder };
    latencies = [];
    outOfOrder = 0;
    return taken;
  },
  leave(): void {
    for (const socket of sockets.splice(0)) socket.removeAllListeners('close').terminate();
    clients = [];
  },
};

export type ClientHandlers = typeof handlers;
serveParent(handlers);
