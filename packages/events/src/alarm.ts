/** Wakes a loop that sleeps. A ring while the loop is busy shortens its next sleep to nothing. */
export function createAlarm() {
  let rung = Promise.withResolvers<void>();
  return {
    ring: (): void => rung.resolve(),
    /** Until the next ring, or this long. */
    async sleep(mostMs: number): Promise<void> {
      const timer = setTimeout(rung.resolve, mostMs);
      await rung.promise;
      clearTimeout(timer);
      rung = Promise.withResolvers();
    },
  };
}
