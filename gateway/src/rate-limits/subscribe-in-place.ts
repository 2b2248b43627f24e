import type { Message, RunningSubscription, Sink } from '@novacron/supergraph';
import type { Place } from './places.ts';

/** Begins a subscription whose place is given back when it ends, or does not begin. */
export function subscribeInPlace(place: Place, sink: Sink, subscribe: (sink: Sink) => RunningSubscription): RunningSubscription {
  try {
    return subscribe(new PlacedSink(place, sink));
  } catch (thrown) {
    place.release();
    throw thrown;
  }
}

class PlacedSink implements Sink {
  readonly #place: Place;
  readonly #sink: Sink;

  constructor(place: Place, sink: Sink) {
    this.#place = place;
    this.#sink = sink;
  }

  send(message: Message): void {
    this.#sink.send(message);
  }

  sendPatiently(message: Message): Promise<void> {
    return this.#sink.sendPatiently(message);
  }

  ended(): void {
    this.#sink.ended();
    this.#place.release();
  }
}
