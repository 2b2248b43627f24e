import { createClient, type Client } from 'graphql-ws';
import { Pool } from 'undici';
import { WebSocket } from 'ws';
import type { Product } from './product.ts';
import { VmWatch } from './vm-watch.ts';

export type PowerVerb = 'startVm' | 'stopVm' | 'pauseVm' | 'resumeVm' | 'deleteVm';

/** A mutation that was accepted. */
export interface Accepted {
  vmId: string;
  operationId: string;
  /** When it was sent, and when its operation's id was in hand (performance.now). */
  sentAt: number;
  acceptedAt: number;
}

export interface NewVm {
  name: string;
  memory: string;
  start: boolean;
  kernel: { kernel: string; initrd: string; cmdline: string };
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

/** A client like anyone's: GraphQL over HTTP with keep-alive, and one subscription over a WebSocket. */
export class BenchClient implements AsyncDisposable {
  readonly watch: VmWatch;
  readonly #pool: Pool;
  readonly #socket: Client;
  readonly #authorization: string;

  private constructor(pool: Pool, socket: Client, watch: VmWatch, authorization: string) {
    this.#pool = pool;
    this.#socket = socket;
    this.watch = watch;
    this.#authorization = authorization;
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
    const socket = createClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization },
      lazy: false,
    });
    return new BenchClient(pool, socket, await VmWatch.open(socket), authorization);
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

  async #accept(query: string, variables: Record<string, unknown>): Promise<Accepted> {
    const sentAt = performance.now();
    const { accepted } = await this.ask<{ accepted: { vm: { id: string }; operation: { id: string } } }>(query, variables);
    return { vmId: accepted.vm.id, operationId: accepted.operation.id, sentAt, acceptedAt: performance.now() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#socket.dispose();
    await this.#pool.close();
  }
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
