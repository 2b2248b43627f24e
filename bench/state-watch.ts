import type { Client } from 'graphql-ws';

/** One message of a subscription, and when it came (performance.now). */
interface Sighting {
  state: string;
  at: number;
}

interface Waiter {
  id: string;
  states: readonly string[];
  since: number;
  found(sighting: Sighting): void;
}

/** What is watched: every change of it, with the id and the state of what has changed. */
export interface Watched<Data> {
  subscription: string;
  read(data: Data): { id: string; state: string };
}

const DEADLINE_MS = 60_000;

/** What a subscriber has been told of the states of VMs, or of operations, with the time of every message. */
export class StateWatch {
  readonly #seen = new Map<string, Sighting[]>();
  readonly #waiters = new Set<Waiter>();
  #failure: Error | null = null;

  /** Before the socket is connected; the server serves the subscription as soon as it is. */
  static open<Data extends Record<string, unknown>>(socket: Client, { subscription, read }: Watched<Data>): StateWatch {
    const watch = new StateWatch();
    socket.subscribe<Data>(
      { query: subscription },
      {
        next: ({ data, errors }) => {
          const at = performance.now(); // first of all
          if (data) watch.#tell(read(data), at);
          else watch.#fail(new Error(`${subscription}: ${JSON.stringify(errors)}`));
        },
        error: (error) => watch.#fail(new Error(`${subscription} has ended`, { cause: error })),
        complete: () => {},
      },
    );
    return watch;
  }

  /** When it was first seen in this state at or after `since`; waits for it. */
  async reached(id: string, state: string, since: number): Promise<number> {
    return (await this.reachedOne(id, [state], since)).at;
  }

  /** The first of these states that it was seen in at or after `since`; waits for it. */
  reachedOne(id: string, states: readonly string[], since: number): Promise<Sighting> {
    const known = this.#seen.get(id)?.find((sighting) => states.includes(sighting.state) && sighting.at >= since);
    if (known) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        id,
        states,
        since,
        found: (sighting) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve(sighting);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        const seen = this.#seen.get(id)?.map((sighting) => sighting.state).join(', ');
        reject(this.#failure ?? new Error(`Waited ${DEADLINE_MS} ms for ${id} to be ${states.join(' or ')}; it was ${seen ?? 'not seen'}.`));
      }, DEADLINE_MS);
      this.#waiters.add(waiter);
    });
  }

  #tell({ id, state }: { id: string; state: string }, at: number): void {
    const sighting = { state, at };
    const sightings = this.#seen.get(id);
    if (sightings) sightings.push(sighting);
    else this.#seen.set(id, [sighting]);
    for (const waiter of this.#waiters) {
      if (waiter.id === id && waiter.states.includes(state) && at >= waiter.since) waiter.found(sighting);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
  }
}
