export interface Rounds {
  /** Waits for the round under way. */
  close(): Promise<void>;
}

/** Does something at once, again and again, and whenever it is asked to; never twice at a time. `round` does not fail. */
export function startRounds(round: () => Promise<void>, intervalMs: number, ask?: (begin: () => void) => void): Rounds {
  let underWay: Promise<void> | null = null;
  let closed = false;
  const begin = (): void => {
    if (closed) return;
    underWay ??= round().finally(() => {
      underWay = null;
    });
  };
  begin();
  ask?.(begin);
  const timer = setInterval(begin, intervalMs);
  return {
    async close() {
      closed = true;
      clearInterval(timer);
      await underWay;
    },
  };
}
