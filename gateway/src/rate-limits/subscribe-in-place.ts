import type { RunningSubscription, Sink } from '@novacron/supergraph';
import type { Place } from './places.ts';

/** Begins a subscription whose place is given back when it ends, or does not begin. */
export function subscribeInPlace(place: Place, sink: Sink, subscribe: (sink: Sink) => RunningSubscription): RunningSubscription {
  try {
    return subscribe({
      send: (message) => sink.send(message),
      sendPatiently: (message) => sink.sendPatiently(message),
      ended() {
        sink.ended();
        place.release();
      },
    });
  } catch (thrown) {
    place.release();
    throw thrown;
  }
}
