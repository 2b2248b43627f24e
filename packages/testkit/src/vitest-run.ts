import { testRun } from './run.ts';

/** vitest's global setup: one run for all workers; returns what vitest calls at the end. */
export default async function openRun(): Promise<() => Promise<void>> {
  const run = await testRun();
  return () => run.close();
}
