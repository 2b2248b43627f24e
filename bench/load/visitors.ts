/** WebSocket clients that come, subscribe, go, and come back to where they were. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { readMark } from './marks.ts';
import { serveParent, sharedNow } from './processes.ts';

export interface Visitors {
  url: string;
  authorization: string;
  count: number;
  /** With the variables `ids` and `after`. */
  query: string;
  /** Visitor n always watches the same one, in turn. */
  topics: readonly string[];
}

export interface Visited {
  /** Milliseconds from commit to the visitor's handler, of what was committed while it was there. */
  latencies: Float64Array;
  visits: number;
  arrived: number;
  /** Changes that a visitor was not told of though it came back to where it was, and those it was told of twice. */
  lost: number;
  twice: number;
}

const STAY_MS = { least: 5_000, most: 15_000 };
const AWAY_MS = { least: 0, most: 3_000 };
const CURSOR = /"cursor":"([^"]+)"/;

interface Visitor {
  topic: string;
  cursor: string | null;
  /** Of the last change that it was told of. */
  sequence: number;
  at: number;
}

const visitors: Visitor[] = [];
const leaving = new AbortController();
let latencies: number[] = [];
const counts = { visits: 0, arrived: 0, lost: 0, twice: 0 };

const between = ({ least, most }: { least: number; most: number }): number => least + Math.random() * (most - least);
/** Cut short when nobody is to leave any more. */
const pause = (ms: number): Promise<unknown> => delay(ms, undefined, { signal: leaving.signal }).catch(() => undefined);

function tell(visitor: Visitor, message: string, since: number): void {
  const now = sharedNow();
  const mark = readMark(message);
  const cursor = CURSOR.exec(message)?.[1];
  if (mark === null || cursor === undefined) throw new Error(`A visitor was told: ${message.slice(0, 500)}`);
  counts.arrived += 1;
  if (mark.sequence <= visitor.sequence) counts.twice += 1;
  else if (visitor.sequence > 0) counts.lost += mark.sequence - visitor.sequence - 1;
  if (mark.at >= since) latencies.push(now - mark.at);
  Object.assign(visitor, mark, { cursor });
}

/** One visit, of which half end with a word. Who was never told anything does not leave: it would not know where to come back to. */
async function visit({ url, authorization, query }: Visitors, visitor: Visitor): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { perMessageDeflate: false });
  const closed = once(socket, 'close') as Promise<[number, Buffer]>;
  let since = Infinity;
  let left = false;
  socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } })));
  socket.on('message', (data: Buffer) => {
    const message = data.toString('latin1');
    if (message.includes('"type":"next"')) return void (left || tell(visitor, message, since));
    if (message.includes('"type":"ping"')) return socket.send('{"type":"pong"}');
    if (!message.startsWith('{"type":"connection_ack"')) throw new Error(`A visitor was told: ${message.slice(0, 500)}`);
    since = sharedNow();
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables: { ids: [visitor.topic], after: visitor.cursor } } }));
  });
  counts.visits += 1;
  const sentAway = closed.then(([code, reason]) => {
    if (!left) throw new Error(`A visitor was sent away: ${code} ${String(reason)}`);
  });
  do await Promise.race([pause(between(STAY_MS)), sentAway]);
  while (visitor.cursor === null && !leaving.signal.aborted);
  if (leaving.signal.aborted) return sentAway;
  left = true;
  if (Math.random() < 0.5) socket.close(1000);
  else socket.terminate();
  await closed;
}

const handlers = {
  come(all: Visitors): void {
    for (let index = 0; index < all.count; index += 1) {
      const visitor: Visitor = { topic: all.topics[index % all.topics.length] ?? '', cursor: null, sequence: 0, at: 0 };
      visitors.push(visitor);
      const life = async (): Promise<void> => {
        await pause((index / all.count) * STAY_MS.most); // one after the other
        for (;;) {
          await visit(all, visitor);
          await pause(between(AWAY_MS));
        }
      };
      void life(); // a fault ends this process
    }
  },
  /** From now on all stay, and who is away comes back. */
  stay: (): void => leaving.abort(),
  behind: (at: number): number => visitors.filter((visitor) => visitor.at < at).length,
  take(): Visited {
    const taken = { ...counts, latencies: Float64Array.from(latencies) };
    latencies = [];
    Object.assign(counts, { visits: 0, arrived: 0, lost: 0, twice: 0 });
    return taken;
  },
};

export type VisitorHandlers = typeof handlers;
serveParent(handlers);
