import type { Logger } from 'pino';

/**
 * Listeners by what they listen to: all objects of a kind, or some of them by id. What happens to one object costs as
 * much as it has listeners, however many others there are.
 */
export class ListenerIndex<Kind extends string, Item> {
  readonly #listeners = new Map<string, Set<(item: Item) => void>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Returns how to stop. Without ids: every object of the kind. */
  add(kind: Kind, ids: readonly string[] | null, listener: (item: Item) => void): () => void {
    const keys = ids === null ? [kind] : [...new Set(ids)].map((id) => `${kind}:${id}`);
    for (const key of keys) this.#listeners.set(key, (this.#listeners.get(key) ?? new Set()).add(listener));
    return () => {
      for (const key of keys) {
        const set = this.#listeners.get(key);
        set?.delete(listener);
        if (set?.size === 0) this.#listeners.delete(key);
      }
    };
  }

  tell(kind: Kind, id: string, item: Item): void {
    for (const key of [kind, `${kind}:${id}`]) {
      for (const listener of this.#listeners.get(key) ?? []) {
        try {
          listener(item);
        } catch (err) {
          this.#logger.error({ err, kind, id }, 'a listener failed'); // the others must hear it all the same
        }
      }
    }
  }
}
