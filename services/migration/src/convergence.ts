/** Does a migration get anywhere? Pure. */
export interface Sample {
  atMs: number;
  iteration: number;
  remaining: number;
}

/** For so long, and through so many passes, it must have got no further. */
const WINDOW = { ms: 3_000, iterations: 2 } as const;
/** Less than this share of what remained is no step forward. */
const LEAST_GAIN = 0.05;

/** The samples that the next question needs: those of the window, and the lowest before. */
export function remember(samples: readonly Sample[], next: Sample): Sample[] {
  const recent = samples.filter(({ atMs }) => next.atMs - atMs <= WINDOW.ms);
  const older = samples.filter(({ atMs }) => next.atMs - atMs > WINDOW.ms);
  const lowest = older.toSorted((a, b) => a.remaining - b.remaining)[0];
  return [...(lowest ? [lowest] : []), ...recent, next];
}

/** Memory is gone through again and again, and not less of it remains. */
export function isStuck(samples: readonly Sample[]): boolean {
  const last = samples.at(-1);
  if (!last) return false;
  const before = samples.filter(({ atMs, iteration }) => last.atMs - atMs > WINDOW.ms && iteration > 0);
  const since = samples.filter(({ atMs }) => last.atMs - atMs <= WINDOW.ms);
  const first = since[0];
  if (before.length === 0 || !first || last.iteration - first.iteration < WINDOW.iterations) return false;
  const lowest = (some: readonly Sample[]): number => Math.min(...some.map(({ remaining }) => remaining));
  return lowest(since) > lowest(before) * (1 - LEAST_GAIN);
}
