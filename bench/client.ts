import { createClient, type Client } from 'graphql-ws';
import { Pool } from 'undici';
import { WebSocket } from 'ws';
import type { Product } from './product.ts';
import { StateWatch, type Watched } from './state-watch.ts';

export type PowerVerb = 'startVm' | 'stopVm' | 'pauseVm' | 'resumeVm' | 'deleteVm';

/** A mutation that was accepted. */
export interface Begun {
  operationId: string;
  /** When it was sent, and when its operation's id was in hand (performance.now). */
  sentAt: number;
  acceptedAt: number;
}

/** A mutation of a VM that was accepted. */
export interface Accepted extends Begun {
  vmId: string;
}

export interface NewVm {
  name: string;
  memory: string;
  start: boolean;
  kernel?: { kernel: string; initrd: string; cmdline: string };
  imageId?: string;
  /** Left out: the default network. */
  networks?: string[];
  volumes?: string[];
  cloudInit?: { hostname: string; userData: string };
  placement?: { hostId: string };
}

const ACCEPTED = 'vm { id } operation { id }';
const CREATE = `mutation ($input: CreateVmInput!) { accepted: createVm(input: $input) { ${ACCEPTED} } }`;
const VERB: Record<PowerVerb, string> = {
  startVm: `mutation ($id: ID!) { accepted: startVm(id: $id) { ${ACCEPTED} } }`,
  stopVm: `mutation ($id: ID!) { accepted: stopVm(id: $id, force: true) { ${ACCEPTED} } }`,
  pauseVm: `mutation ($id: ID!) { accepted: pauseVm(id: $id) { ${ACCEPTED} } }`,
  resumeVm: `mutation ($id: ID!) { accepted: resumeVm(id: $id) { ${ACCEPTED} } }`,
  deleteVm: `mutation ($id: ID!) { accepted: deleteVm(id: $id) { ${ACCEPTED} } }`,
};

const VMS: Watched<{ vmChanged: { vm: { id: string; state: string } } }> = {
  subscription: 'subscription { vmChanged { type vm { id state } } }',
  read: ({ vmChanged }) => vmChanged.vm,
};
const OPERATIONS: Watched<{ operationChanged: { id: string; state: string } }> = {
  subscription: 'subscription { operationChanged { id state } }',
  read: ({ operationChanged }) => operationChanged,
};
/** How an operation can end. */
const ENDS = ['SUCCEEDED', 'FAILED', 'CANCELLED'];

/** A client like anyone's: GraphQL over HTTP with keep-alive, and subscriptions over a WebSocket. */
export class BenchClient implements AsyncDisposable {
  /** Of VMs. */
  readonly watch: StateWatch;
  readonly #pool: Pool;
  readonly #sockets: Client[] = [];
  readonly #url: string;
  readonly #authorization: string;
  #operations: Promise<StateWatch> | undefined;

  private constructor(pool: Pool, url: string, authorization: string, socket: Client, watch: StateWatch) {
    this.#pool = pool;
    this.#url = url;
    this.#authorization = authorization;
    this.#sockets.push(socket);
    this.watch = watch;
  }

  static async signIn({ url, email, password }: Product): Promise<BenchClient> {
    const pool = new Pool(url, { connections: 16, keepAliveTimeout: 60_000 });
    const { login } = await ask<{ login: { accessToken: string } }>(
      pool,
      null,
      'mutation ($input: LoginInput!) { login(input: $input) { accessToken } }',
      { input: { email, password } },
    );
    const authorization = `Bearer ${login.accessToken}`;
    const { socket, watch } = await subscribe(url, authorization, VMS);
    return new BenchClient(pool, url, authorization, socket, watch);
  }

  ask<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    return ask<Data>(this.#pool, this.#authorization, query, variables);
  }

  createVm(input: NewVm): Promise<Accepted> {
    return this.#accept(CREATE, { input });
  }

  verb(verb: PowerVerb, id: string): Promise<Accepted> {
    return this.#accept(VERB[verb], { id });
  }

  /** Sends a mutation that has its field under the name `accepted`, and an operation in it. */
  async begin<Data>(mutation: string, variables: Record<string, unknown>): Promise<Begun & { accepted: Data }> {
    const sentAt = performance.now();
    const { accepted } = await this.ask<{ accepted: Data & { operation: { id: string } } }>(mutation, variables);
    return { accepted, operationId: accepted.operation.id, sentAt, acceptedAt: performance.now() };
  }

  /** When a subscriber saw that the operation has succeeded; throws when it has not. Nothing is subscribed to before this is used. */
  async succeeded({ operationId }: Begun): Promise<number> {
    const { state, at } = await (await this.operations()).reachedOne(operationId, ENDS, 0);
    if (state === 'SUCCEEDED') return at;
    const { operation } = await this.ask<{ operation: unknown }>('query ($id: ID!) { operation(id: $id) { kind state error { code message } steps { name state error { message } } } }', { id: operationId });
    throw new Error(`An operation did not succeed: ${JSON.stringify(operation)}`);
  }

  /** What a subscriber is told of operations; the subscription is opened when this is first asked for. */
  operations(): Promise<StateWatch> {
    this.#operations ??= subscribe(this.#url, this.#authorization, OPERATIONS).then(({ socket, watch }) => {
      this.#sockets.push(socket);
      return watch;
    });
    return this.#operations;
  }

  async #accept(query: string, variables: Record<string, unknown>): Promise<Accepted> {
    const { accepted, ...begun } = await this.begin<{ vm: { id: string } }>(query, variables);
    return { vmId: accepted.vm.id, ...begun };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) await socket.dispose();
    await this.#pool.close();
  }
}

/** Resolves when the server serves the subscription. */
async function subscribe<Data extends Record<string, unknown>>(url: string, authorization: string, watched: Watched<Data>): Promise<{ socket: Client; watch: StateWatch }> {
  const socket = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
    lazy: false,
  });
  const connected = new Promise<void>((resolve) => socket.on('connected', () => resolve()));
  const watch = StateWatch.open(socket, watched);
  await connected;
  return { socket, watch };
}

async function ask<Data>(pool: Pool, authorization: string | null, query: string, variables: Record<string, unknown>): Promise<Data> {
  const { body } = await pool.request({
    method: 'POST',
    path: '/graphql',
    headers: { 'content-type': 'application/json', ...(authorization === null ? {} : { authorization }) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await body.json()) as { data?: Data; errors?: unknown }; // what GraphQL over HTTP answers
  if (data == null || errors !== undefined) throw new Error(`NovaCron refused ${query}: ${JSON.stringify(errors)}`);
  return data;
}
