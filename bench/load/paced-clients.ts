/** Requests at a steady rate, from a process of its own: the next is sent when it is due, whether or not the last was answered. */
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { serveParent } from './processes.ts';

export interface Pace {
  url: string;
  authorization: string | null;
  perSecond: number;
  seconds: number;
  query: string;
  /** `{n}` in one of them becomes the number of the request. */
  variables: Readonly<Record<string, string>>;
}

export interface Paced {
  /** Milliseconds from when it was due until it was answered, of every answer without an error. */
  latencies: Float64Array;
  asked: number;
  /** How many were answered with which error: RATE_LIMITED, ... */
  errors: Record<string, number>;
}

const CONNECTIONS = 100;

let sent = 0;

const handlers = {
  async ask({ url, authorization, perSecond, seconds, query, variables }: Pace): Promise<Paced> {
    const pool = new Pool(url, { connections: CONNECTIONS, pipelining: 1 });
    const headers = { 'content-type': 'application/json', ...(authorization === null ? {} : { authorization }) };
    const latencies: number[] = [];
    const errors: Record<string, number> = {};
    const failed = (code: string) => (errors[code] = (errors[code] ?? 0) + 1);

    async function once(dueAt: number, number: number): Promise<void> {
      const filled = Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, value.replace('{n}', String(number))]));
      try {
        const response = await pool.request({ method: 'POST', path: '/graphql', headers, body: JSON.stringify({ query, variables: filled }) });
        const { errors: [error] = [] } = (await response.body.json()) as { errors?: { extensions?: { code?: string } }[] };
        if (error === undefined) latencies.push(performance.now() - dueAt);
        else failed(error.extensions?.code ?? String(response.statusCode));
      } catch (error) {
        failed(String(error));
      }
    }

    const startedAt = performance.now();
    const count = Math.round(perSecond * seconds);
    const asked: Promise<void>[] = [];
    for (let index = 0; index < count; index += 1) {
      const dueAt = startedAt + (index * 1_000) / perSecond;
      const waitMs = dueAt - performance.now();
      if (waitMs > 0) await delay(waitMs);
      asked.push(once(dueAt, (sent += 1)));
    }
    await Promise.all(asked);
    await pool.destroy();
    return { latencies: Float64Array.from(latencies), asked: count, errors };
  },
};

export type PacedClientHandlers = typeof handlers;
serveParent(handlers);
