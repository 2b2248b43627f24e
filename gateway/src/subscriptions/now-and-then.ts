/**
 * Runs something once in every period, from a moment of its own on: of thousands of clients each has its own, since all at
 * once would hold up everyone (10,000 pings take 0.2 s). Returns what ends it.
 */
export function nowAndThen(run: () => void, everyMs: number): () => void {
  let timer = setTimeout(() => {
    run();
    timer = setInterval(run, everyMs).unref();
  }, Math.random() * everyMs).unref();
  return () => clearTimeout(timer);
}
