import { eventually } from '@novacron/testkit';
import type { Graph, Loose } from './client.ts';
import { Subscription } from './subscription.ts';

const WATCH = 'subscription ($after: String) { vmChanged(after: $after) { cursor type vm { id state generation } } }';

/** A client that comes back with its last cursor whenever it is cut off, as graphs' clients do. */
export class Follower {
  readonly #graph: Graph;
  readonly #parts: Subscription[] = [];
  #running: Promise<void> = Promise.resolve();
  #closed = false;
  /** How often it had to come back. */
  returns = 0;

  private constructor(graph: Graph) {
    this.#graph = graph;
  }

  static async follow(graph: Graph): Promise<Follower> {
    const follower = new Follower(graph);
    follower.#parts.push(await graph.subscribe(WATCH));
    follower.#running = follower.#run();
    return follower;
  }

  /** What it has heard: `type id state generation`. */
  get heard(): string[] {
    return this.#parts.flatMap(({ messages }) => messages.map(({ data: { vmChanged: { type, vm } } }: Loose) => `${type} ${vm.id} ${vm.state} ${vm.generation}`));
  }

  get #cursor(): string | undefined {
    return this.#parts.flatMap(({ cursors }) => cursors).at(-1);
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      const part = this.#parts.at(-1);
      await eventually('the end of a subscription', () => this.#closed || part?.ended !== null, { timeoutMs: 10 * 60_000 });
      if (this.#closed) return;
      this.returns += 1;
      // A part that is refused at once (the gateway is away) has no messages: the next one tries again.
      this.#parts.push(Subscription.begin(this.#graph, WATCH, { after: this.#cursor }));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    await Promise.all(this.#parts.map((part) => part.close()));
  }
}
