import type { AcceptanceSamples } from './acceptance.ts';
import type { Pair, PowerSamples } from './power.ts';
import { summarize, type Summary } from './statistics.ts';

/** One line of the table: what was measured, what came out, and what was promised. */
export interface Figure {
  name: string;
  /** In milliseconds. */
  summary: Summary;
  /** Median against the median of what it is compared with, and how much more. */
  against?: { what: string; ratio: number; moreMs: number };
  goal?: { text: string; met: boolean };
}

/** A verb may take this much longer than virsh. */
const VERB = { ratio: 1.25, moreMs: 60 } as const;
const ACCEPTED_P99_MS = 100;
const DELIVERED_P99_MS = 50;

const figure = (name: string, samples: readonly number[]): Figure => ({ name, summary: summarize(samples) });

function withGoal(name: string, samples: readonly number[], p99Ms: number): Figure {
  const plain = figure(name, samples);
  return { ...plain, goal: { text: `p99 < ${p99Ms} ms`, met: plain.summary.p99 < p99Ms } };
}

function compared(name: string, rawName: string, { novacron, virsh }: Pair): Figure[] {
  const [ours, raw] = [figure(name, novacron), figure(rawName, virsh)];
  const ratio = ours.summary.median / raw.summary.median;
  const moreMs = ours.summary.median - raw.summary.median;
  const met = ratio <= VERB.ratio && moreMs <= VERB.moreMs;
  return [{ ...ours, against: { what: rawName, ratio, moreMs }, goal: { text: `≤ ${VERB.ratio}×, ≤ ${VERB.moreMs} ms more`, met } }, raw];
}

export const powerFigures = ({ create, start, stop, virshAlone }: PowerSamples): Figure[] => [
  ...compared('`createVm` until a subscriber sees RUNNING', '`virsh create`, same XML', create),
  ...compared('`startVm` until a subscriber sees RUNNING', '`virsh start`', start),
  ...compared('`stopVm(force: true)` until a subscriber sees STOPPED', '`virsh destroy`', stop),
  figure('`virsh version`: what every virsh above costs by itself', virshAlone),
];

export const acceptanceFigures = ({ createVm, powerVerb }: AcceptanceSamples): Figure[] => [
  withGoal('`createVm` accepted, one at a time', createVm.sequential, ACCEPTED_P99_MS),
  withGoal('`createVm` accepted, 10 at a time', createVm.concurrent, ACCEPTED_P99_MS),
  withGoal('`pauseVm`, `resumeVm` accepted, one at a time', powerVerb.sequential, ACCEPTED_P99_MS),
  withGoal('`pauseVm`, `resumeVm` accepted, 10 at a time', powerVerb.concurrent, ACCEPTED_P99_MS),
];

export const deliveryFigures = (samples: readonly number[]): Figure[] => [
  withGoal("libvirt's own event until a subscriber is told (drift)", samples, DELIVERED_P99_MS),
];
