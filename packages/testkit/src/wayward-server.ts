import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What it does with a question, given as text. */
export type Behaviour = (response: ServerResponse, question: string) => void;

/** A server that behaves as it is told, from one request to the next. */
export interface WaywardServer {
  url: string;
  port: number;
  behave: Behaviour;
  /** Requests so far. */
  asked: number;
  /** Those whose client has left before they were answered. */
  left: number;
  stop(): Promise<void>;
}

export const json =
  (answer: unknown, status = 200, type = 'application/json'): Behaviour =>
  (response) => response.writeHead(status, { 'content-type': type }).end(typeof answer === 'string' ? answer : JSON.stringify(answer));

/** Listens at the port, or at one that the system chooses. */
export async function startWaywardServer(behave: Behaviour, port = 0): Promise<WaywardServer> {
  const server = createServer((request, response) => {
    wayward.asked += 1;
    response.on('close', () => (wayward.left += response.writableEnded ? 0 : 1));
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => wayward.behave(response, Buffer.concat(chunks).toString()));
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const bound = (server.address() as AddressInfo).port; // a TCP server has no other kind
  const wayward: WaywardServer = {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    behave,
    asked: 0,
    left: 0,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return wayward;
}
