import type { VmSample } from '@novacron/contracts';

const RATES = [
  'cpu',
  'diskReadBytesPerSecond',
  'diskWriteBytesPerSecond',
  'netReceiveBytesPerSecond',
  'netTransmitBytesPerSecond',
] as const satisfies (keyof VmSample)[];

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The average of some samples of one VM, as of the last of them. */
export function averageOf(samples: readonly VmSample[]): VmSample {
  const last = samples.at(-1);
  if (last === undefined) throw new RangeError('There is no average of nothing.');
  const used = samples.flatMap(({ memoryUsed }) => memoryUsed ?? []);
  return {
    ...last,
    ...(Object.fromEntries(RATES.map((rate) => [rate, mean(samples.map((sample) => sample[rate]))])) as Pick<VmSample, (typeof RATES)[number]>), // fromEntries forgets the keys
    memoryUsed: used.length === 0 ? null : Math.round(mean(used)),
  };
}
