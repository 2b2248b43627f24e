import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testRun } from '@novacron/testkit';

/** Samples of one thing done in two ways, in milliseconds: through NovaCron until a client sees it done, and virsh until it returns. */
export interface Pair {
  novacron: number[];
  virsh: number[];
}

export const pair = (): Pair => ({ novacron: [], virsh: [] });

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** Who goes first in a round: in two rounds NovaCron, then virsh in two, so that each goes first as often there as back. */
export const orderOf = (round: number): readonly (keyof Pair)[] => (Math.floor(round / 2) % 2 === 0 ? ['novacron', 'virsh'] : ['virsh', 'novacron']);

/** Does the same in two ways, in turns. The first rounds count for nothing: code is compiled, connections are open, files are cached. */
export async function inTurns(rounds: number, warmUp: number, ways: Record<keyof Pair, (round: number) => Promise<number>>): Promise<Pair> {
  const samples = pair();
  for (let round = 0; round < warmUp + rounds; round += 1) {
    for (const by of orderOf(round)) {
      const tookMs = await ways[by](round);
      if (round >= warmUp) samples[by].push(tookMs);
    }
  }
  return samples;
}

/** A file for virsh to read. */
export async function fileOf(name: string, content: string): Promise<string> {
  const file = join((await testRun()).dir, name);
  writeFileSync(file, content);
  return file;
}
