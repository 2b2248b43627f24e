import { eventually } from '@novacron/testkit';
import { createClient, type Client } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Graph, GraphError, Loose } from './client.ts';

export interface Message<Data> {
  data: Data;
  errors?: GraphError[];
  extensions: { cursor?: string };
}

export interface Ended {
  /** Of the subscription, or of the socket's close frame. */
  code: string | number;
  reason: string;
}

/** One subscription on a socket of its own, as the graphql-ws client sees it: nothing is tried again behind the test's back. */
export class Subscription<Data = Loose> {
  readonly messages: Message<Data>[] = [];
  /** Why there will be no more messages. */
  ended: Ended | null = null;
  readonly #client: Client;
  readonly #document: string;
  #closed = false;

  private constructor(graph: Graph, document: string, variables: object) {
    this.#document = document.trim().split('\n')[0] ?? '';
    this.#client = createClient({
      url: `${graph.url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      ...(graph.token === null ? {} : { connectionParams: { authorization: `Bearer ${graph.token}` } }),
    });
    this.#client.subscribe<Data, { cursor?: string }>(
      { query: document, variables: { ...variables } },
      {
        next: (message) => {
          if (!this.#closed) this.messages.push(message as unknown as Message<Data>); // the gateway's extensions have a cursor or nothing
        },
        complete: () => (this.ended ??= { code: 'COMPLETE', reason: 'completed' }),
        error: (thrown) => (this.ended ??= describe(thrown)),
      },
    );
  }

  /** Asks for it, and waits for nothing. */
  static begin(graph: Graph, document: string, variables: object): Subscription {
    return new Subscription(graph, document, variables);
  }

  static async open<Data>(graph: Graph, document: string, variables: object): Promise<Subscription<Data>> {
    const before = await answeredSubscriptions(graph.url);
    const subscription = new Subscription<Data>(graph, document, variables);
    await eventually(`${subscription.#document} to be taken up`, async () => subscription.ended !== null || (await answeredSubscriptions(graph.url)) > before);
    return subscription;
  }

  /** The first message that fits, which may have come already. */
  async until(description: string, fits: (data: Data) => unknown, timeoutMs = 20_000): Promise<Message<Data>> {
    let found: Message<Data> | undefined;
    await eventually(
      `${this.#document}: ${description}`,
      () => {
        found = this.messages.find(({ data }) => data !== null && fits(data));
        if (found === undefined && this.ended) throw new Error(`it ended with ${this.ended.code} ${this.ended.reason}`);
        return found !== undefined;
      },
      { timeoutMs },
    );
    return found as Message<Data>; // eventually has just seen it
  }

  /** The code with which it was refused or cut off. */
  async code(): Promise<string | number> {
    return (await eventually(`${this.#document} to end`, () => this.ended)).code;
  }

  /** The cursors of all messages, in the order in which they came. */
  get cursors(): string[] {
    return this.messages.map(({ extensions }) => extensions.cursor ?? '');
  }

  /** What is still on its way is not heard any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#client.dispose();
  }
}

function describe(thrown: unknown): Ended {
  if (Array.isArray(thrown)) {
    const [error] = thrown as GraphError[]; // graphql-ws hands over the payload of the error message
    return { code: error?.extensions.code ?? 'ERROR', reason: error?.message ?? '' };
  }
  const { code, reason } = thrown as { code?: number; reason?: string }; // a CloseEvent, or what the socket failed with
  return { code: code ?? 'LOST', reason: reason ?? String(thrown) };
}

/** How many subscriptions the gateway has taken up or refused since its start. */
async function answeredSubscriptions(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith('novacron_graphql_operations_total{type="subscription"'));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
