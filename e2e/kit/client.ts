import { Subscription } from './subscription.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- answers have the shape of the test's own document
export type Loose = Record<string, any>;

export interface GraphError {
  message: string;
  path?: (string | number)[];
  extensions: { code: string; field?: string; retryable?: boolean; requestId?: string };
}

export interface Answer<Data = Loose> {
  status: number;
  data: Data | null;
  errors: GraphError[];
}

/** An answer with errors where the test expected none. */
export class GraphFailure extends Error {
  override readonly name = 'GraphFailure';
  readonly errors: readonly GraphError[];

  constructor(document: string, errors: readonly GraphError[]) {
    super(`${document.trim().split('\n')[0]} ... was answered ${errors.map(({ message, extensions }) => `${extensions?.code}: ${message}`).join('; ')}`);
    this.errors = errors;
  }

  get code(): string | undefined {
    return this.errors[0]?.extensions?.code;
  }
}

export interface SignedIn {
  id: string;
  email: string;
  token: string;
  refreshToken: string;
}

const LOGIN = `mutation Login($input: LoginInput!) {
  login(input: $input) { accessToken refreshToken expiresAt user { id email } }
}`;

/** Sessions whose token is being refreshed. */
const refreshing = new WeakMap<object, Promise<void>>();
const REFRESH = 'mutation Refresh($refreshToken: String!) { refreshSession(refreshToken: $refreshToken) { accessToken refreshToken } }';

/** The public graph, as one person sees it. */
export class Graph {
  readonly url: string;
  readonly #someone: { token: string; refreshToken?: string } | null;

  constructor(url: string, someone: { token: string; refreshToken?: string } | null = null) {
    this.url = url;
    this.#someone = someone;
  }

  get token(): string | null {
    return this.#someone?.token ?? null;
  }

  /** The same graph for someone else; null: for nobody. */
  as(someone: { token: string; refreshToken?: string } | null): Graph {
    return new Graph(this.url, someone);
  }

  /** What the gateway answers, whatever it is; whoever has signed in goes on when the token has expired. Rejects when it can't be reached. */
  async ask<Data = Loose>(query: string, variables: object = {}, headers: Record<string, string> = {}): Promise<Answer<Data>> {
    const used = this.token;
    const answer = await this.#send<Data>(query, variables, headers);
    const hasExpired = answer.errors.some(({ message, extensions }) => extensions.code === 'UNAUTHENTICATED' && /access token has expired/.test(message));
    const someone = this.#someone;
    if (!hasExpired || someone?.refreshToken === undefined) return answer;
    if (someone.token === used) await this.#refresh(someone, someone.refreshToken);
    return this.#send(query, variables, headers);
  }

  /** Once for all who share the session: a refresh token that comes a second time ends it. */
  #refresh(someone: object, refreshToken: string): Promise<void> {
    const known = refreshing.get(someone);
    if (known) return known;
    const made = new Graph(this.url)
      .run(REFRESH, { refreshToken })
      .then(({ refreshSession }) => void Object.assign(someone, { token: refreshSession.accessToken, refreshToken: refreshSession.refreshToken }))
      .finally(() => refreshing.delete(someone));
    refreshing.set(someone, made);
    return made;
  }

  async #send<Data>(query: string, variables: object, headers: Record<string, string>): Promise<Answer<Data>> {
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }), ...headers },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(20_000),
    });
    const { data = null, errors = [] } = (await response.json()) as { data?: Data; errors?: GraphError[] };
    return { status: response.status, data, errors };
  }

  /** The data of a query or a mutation; an error fails the test. */
  async run<Data = Loose>(document: string, variables: object = {}): Promise<Data> {
    const { data, errors } = await this.ask<Data>(document, variables);
    if (errors.length > 0 || data === null) throw new GraphFailure(document, errors);
    return data;
  }

  /** The first error; fails when there is none. */
  async refused(document: string, variables: object = {}): Promise<GraphError> {
    const { data, errors } = await this.ask(document, variables);
    const [error] = errors;
    if (error === undefined) throw new Error(`${document} was not refused but answered ${JSON.stringify(data)}`);
    return error;
  }

  async login(email: string, password: string): Promise<SignedIn> {
    const { login } = await this.run(LOGIN, { input: { email, password } });
    return { id: login.user.id, email, token: login.accessToken, refreshToken: login.refreshToken };
  }

  /** Subscribes; resolves once the gateway has taken it up or refused it. */
  subscribe<Data = Loose>(document: string, variables: object = {}): Promise<Subscription<Data>> {
    return Subscription.open<Data>(this, document, variables);
  }
}
