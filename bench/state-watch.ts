import type { Client } from 'graphql-ws';

/** One message of vmChanged, and when it came (performance.now). */
interface Sighting {
  state: string;
  at: number;
}

interface Waiter {
  vmId: string;
  state: string;
  since: number;
  found(at: number): void;
}

const SUBSCRIPTION = 'subscription { vmChanged { type vm { id state } } }';
const DEADLINE_MS = 60_000;

/** What a subscriber of vmChanged has been told, with the time of every message. */
export class VmWatch {
  readonly #seen = new Map<string, Sighting[]>();
  readonly #waiters = new Set<Waiter>();
  #failure: Error | null = null;

  /** Resolves when the server serves the subscription. */
  static async open(socket: Client): Promise<VmWatch> {
    const watch = new VmWatch();
    const connected = new Promise<void>((resolve) => socket.on('connected', () => resolve()));
    socket.subscribe<{ vmChanged: { type: string; vm: { id: string; state: string } } }>(
      { query: SUBSCRIPTION },
      {
        next: ({ data, errors }) => {
          const at = performance.now(); // first of all
          if (data) watch.#tell(data.vmChanged.vm, at);
          else watch.#fail(new Error(`vmChanged: ${JSON.stringify(errors)}`));
        },
        error: (error) => watch.#fail(new Error('vmChanged has ended', { cause: error })),
        complete: () => {},
      },
    );
    await connected;
    return watch;
  }

  /** When the VM was first seen in this state at or after `since`; waits for it. */
  reached(vmId: string, state: string, since: number): Promise<number> {
    const known = this.#seen.get(vmId)?.find((sighting) => sighting.state === state && sighting.at >= since);
    if (known) return Promise.resolve(known.at);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        vmId,
        state,
        since,
        found: (at) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve(at);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        const states = this.#seen.get(vmId)?.map((sighting) => sighting.state).join(', ');
        reject(this.#failure ?? new Error(`Waited ${DEADLINE_MS} ms for VM ${vmId} to be ${state}; it was ${states ?? 'not seen'}.`));
      }, DEADLINE_MS);
      this.#waiters.add(waiter);
    });
  }

  #tell({ id, state }: { id: string; state: string }, at: number): void {
    const sightings = this.#seen.get(id);
    if (sightings) sightings.push({ state, at });
    else this.#seen.set(id, [{ state, at }]);
    for (const waiter of this.#waiters) {
      if (waiter.vmId === id && waiter.state === state && at >= waiter.since) waiter.found(at);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
  }
}
