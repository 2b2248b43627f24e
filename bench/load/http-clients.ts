/** HTTP clients in a process of their own: each has a connection, which it keeps, and asks again as soon as it is answered. */
import { Pool } from 'undici';
import { serveParent } from './processes.ts';

export interface Questions {
  url: string;
  authorization: string;
  clients: number;
  query: string;
  seconds: number;
}

export interface Answers {
  /** Milliseconds, of every answer without an error. */
  latencies: Float64Array;
  asked: number;
  /** What was wrong with the first that was not as it should be. */
  fault: string | null;
}

/** The data of an answer without errors begins so. */
const DATA = '{"data":{';

const handlers = {
  async ask({ url, authorization, clients, query, seconds }: Questions): Promise<Answers> {
    const pool = new Pool(url, { connections: clients, pipelining: 1, connectTimeout: 60_000 });
    const headers = { 'content-type': 'application/json', authorization };
    const body = JSON.stringify({ query });
    const latencies: number[] = [];
    let asked = 0;
    let fault: string | null = null;
    const once = async (isCounted: boolean): Promise<void> => {
      const startedAt = performance.now();
      if (isCounted) asked += 1;
      try {
        const response = await pool.request({ method: 'POST', path: '/graphql', headers, body });
        const text = await response.body.text();
        if (response.statusCode !== 200 || !text.startsWith(DATA) || text.includes('"errors":')) fault ??= `${response.statusCode} ${text.slice(0, 500)}`;
        else if (isCounted) latencies.push(performance.now() - startedAt);
      } catch (error) {
        fault ??= String(error);
      }
    };
    await Promise.all(Array.from({ length: clients }, () => once(false))); // all are connected
    const endsAt = performance.now() + seconds * 1_000;
    const client = async (): Promise<void> => {
      while (performance.now() < endsAt) await once(true);
    };
    await Promise.all(Array.from({ length: clients }, client));
    await pool.destroy();
    return { latencies: Float64Array.from(latencies), asked, fault };
  },
};

export type HttpClientHandlers = typeof handlers;
serveParent(handlers);
