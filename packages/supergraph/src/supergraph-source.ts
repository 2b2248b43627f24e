import type { Supergraph } from './supergraph.ts';

/** Where the supergraph of the moment is: whoever keeps something made from it follows. */
export interface SupergraphSource {
  readonly current: Supergraph;
  /** Calls the listener with each later one, once it is `current`; the answer ends that. */
  onChange(listener: (supergraph: Supergraph) => void): () => void;
}
