/** How many names have series of their own; each costs a few dozen of them. */
const KEPT_NAMES = 200;
/** Longer ones are no names that a person gave. */
const LONGEST_NAME = 64;

/**
 * Operations as metrics name them. Names are the clients' to choose: the first 200 that signed-in ones bring are kept, and
 * whoever invents more makes no more series.
 */
export function createOperationNames(): (name: string | undefined, isSignedIn: boolean) => string {
  const kept = new Set<string>();
  return (name, isSignedIn) => {
    if (name === undefined) return 'anonymous';
    if (kept.has(name)) return name;
    if (!isSignedIn || name.length > LONGEST_NAME || kept.size >= KEPT_NAMES) return 'other';
    kept.add(name);
    return name;
  };
}
