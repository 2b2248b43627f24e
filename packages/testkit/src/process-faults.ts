/** What would have ended this process, in the order in which it happened. */
export interface ProcessFaults {
  readonly seen: unknown[];
  /** Lets faults end the process again. */
  stop(): void;
}

/** Remembers errors that nobody caught, for proofs that nothing a client does can cause one. */
export function watchProcessFaults(): ProcessFaults {
  const seen: unknown[] = [];
  const remember = (error: unknown) => void seen.push(error);
  process.prependListener('uncaughtException', remember);
  process.prependListener('unhandledRejection', remember);
  return {
    seen,
    stop() {
      process.removeListener('uncaughtException', remember);
      process.removeListener('unhandledRejection', remember);
    },
  };
}
