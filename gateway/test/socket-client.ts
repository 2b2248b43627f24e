import { once } from 'node:events';
import { eventually } from '@novacron/testkit';
import { WebSocket, type ClientOptions } from 'ws';

export interface Payload {
  data: Record<string, unknown> | null;
  errors?: { message: string; extensions: Record<string, unknown> }[];
  extensions: { cursor: string };
}

interface ServerMessage {
  id: string;
  type: string;
  payload?: unknown;
}

/** One subscription as its client sees it. */
export class Received {
  readonly payloads: Payload[] = [];
  error: { message: string; extensions: Record<string, unknown> }[] | null = null;
  completed = false;

  /** Waits until so many messages have come, and returns all. */
  async until(count: number): Promise<Payload[]> {
    await eventually(`${count} messages (there are ${this.payloads.length}, error ${JSON.stringify(this.error)})`, () => this.payloads.length >= count);
    return this.payloads;
  }

  /** The code of the error that ended it. */
  async code(): Promise<unknown> {
    await eventually('an error', () => this.error !== null);
    return this.error?.[0]?.extensions['code'];
  }
}

/** A WebSocket client that shows everything that passes: graphql-transport-ws by hand. */
export class SocketClient {
  readonly socket: WebSocket;
  readonly subscriptions = new Map<string, Received>();
  closed: { code: number; reason: string } | null = null;
  acknowledged: { cursor: string } | null = null;
  #next = 0;

  constructor(url: string, options: ClientOptions = {}) {
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', options);
    this.socket.on('close', (code, reason) => (this.closed = { code, reason: String(reason) }));
    this.socket.on('message', (data) => this.#receive(JSON.parse(String(data)) as ServerMessage));
    this.socket.on('error', () => {}); // 'close' says it
  }

  #receive({ id, type, payload }: ServerMessage): void {
    if (type === 'connection_ack') this.acknowledged = payload as { cursor: string };
    const received = this.subscriptions.get(id);
    if (type === 'next') received?.payloads.push(payload as Payload);
    if (type === 'complete' && received) received.completed = true;
    if (type === 'error' && received) received.error = payload as Received['error'];
  }

  /** Opens and says who it is; resolves once the gateway has agreed, rejects when it closes instead. */
  static async connect(url: string, token?: string, options?: ClientOptions): Promise<SocketClient> {
    const client = new SocketClient(url, options);
    await once(client.socket, 'open');
    client.send({ type: 'connection_init', ...(token === undefined ? {} : { payload: { authorization: `Bearer ${token}` } }) });
    await eventually('the acknowledgement', () => client.acknowledged !== null || client.closed !== null);
    return client;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  subscribe(query: string, variables: object = {}, id = String((this.#next += 1))): Received {
    const received = new Received();
    this.subscriptions.set(id, received);
    this.send({ id, type: 'subscribe', payload: { query, variables } });
    return received;
  }

  async untilClosed(): Promise<{ code: number; reason: string }> {
    return eventually('the socket to be closed', () => this.closed);
  }

  async close(): Promise<void> {
    this.socket.terminate();
    await this.untilClosed();
  }
}
