import { once } from 'node:events';
import { eventually } from '@novacron/testkit';
import { WebSocket, type ClientOptions } from 'ws';

// oxlint-disable-next-line typescript/no-explicit-any -- JSON, looked into by the tests
export type PlainMessage = Record<string, any>;

/** A client of plain events, as a script has one: a WebSocket and JSON. */
export class PlainClient {
  readonly socket: WebSocket;
  readonly messages: PlainMessage[] = [];
  closed: { code: number; reason: string } | null = null;

  private constructor(url: string, path: string, options?: ClientOptions) {
    this.socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, options);
    this.socket.on('message', (data) => this.messages.push(JSON.parse(String(data)) as PlainMessage));
    this.socket.on('close', (code, reason) => (this.closed = { code, reason: String(reason) }));
    this.socket.on('error', () => {}); // 'close' says it
  }

  static async open(url: string, { path = '/ws/events/v1', ...options }: ClientOptions & { path?: string } = {}): Promise<PlainClient> {
    const client = new PlainClient(url, path, options);
    await once(client.socket, 'open');
    return client;
  }

  /** Opens, signs in and waits until it is ready. */
  static async signedIn(url: string, token: string, choice: object = {}): Promise<PlainClient> {
    const client = await PlainClient.open(url);
    client.send({ type: 'auth', token, ...choice });
    await client.until('ready');
    return client;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  of(type: string): PlainMessage[] {
    return this.messages.filter((message) => message['type'] === type);
  }

  /** The last of so many messages of this type. */
  async until(type: string, count = 1): Promise<PlainMessage> {
    const found = await eventually(`${count} of ${type} among ${JSON.stringify(this.messages).slice(0, 500)}, closed ${JSON.stringify(this.closed)}`, () => this.of(type)[count - 1]);
    return found;
  }

  untilClosed(): Promise<{ code: number; reason: string }> {
    return eventually('the socket to be closed', () => this.closed);
  }
}
