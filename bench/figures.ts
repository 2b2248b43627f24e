import type { AcceptanceSamples } from './acceptance.ts';
import type { MigrationSamples, Moves } from './migration.ts';
import type { PowerSamples } from './power.ts';
import { percentile, summarize, type Summary } from './statistics.ts';
import type { Pair } from './turns.ts';
import type { VolumeSamples } from './volumes.ts';

/** One line of the table: what was measured, what came out, and what was promised. */
export interface Figure {
  name: string;
  /** In milliseconds. */
  summary: Summary;
  /** Median against the median of what it is compared with, and how much more. */
  against?: { what: string; ratio: number; moreMs: number };
  goal?: { text: string; met: boolean };
}

/** How much longer than virsh it may take, by the medians. */
interface Limit {
  ratio: number;
  moreMs?: number;
}

const VERB: Limit = { ratio: 1.25, moreMs: 60 };
const MIGRATION: Limit = { ratio: 1.1 };
const VOLUME: Limit = { ratio: 1.25 };
const IMAGE_VM: Limit = { ratio: 1.15 };
const ACCEPTED_P99_MS = 100;
const DELIVERED_P99_MS = 50;

const figure = (name: string, samples: readonly number[]): Figure => ({ name, summary: summarize(samples) });

function withGoal(name: string, samples: readonly number[], p99Ms: number): Figure {
  const plain = figure(name, samples);
  return { ...plain, goal: { text: `p99 < ${p99Ms} ms`, met: plain.summary.p99 < p99Ms } };
}

function compared(name: string, rawName: string, { novacron, virsh }: Pair, limit: Limit): Figure[] {
  const [ours, raw] = [figure(name, novacron), figure(rawName, virsh)];
  const against = compare(rawName, ours, raw);
  const text = `≤ ${limit.ratio}×${limit.moreMs === undefined ? '' : `, ≤ ${limit.moreMs} ms more`}`;
  return [{ ...ours, against, goal: { text, met: against.ratio <= limit.ratio && against.moreMs <= (limit.moreMs ?? Infinity) } }, raw];
}

function compare(what: string, { summary: ours }: Figure, { summary: raw }: Figure): { what: string; ratio: number; moreMs: number } {
  return { what, ratio: ours.median / raw.median, moreMs: ours.median - raw.median };
}

/** The same as far as that can be told: our median is not above three quarters of virsh's samples. */
function alike(name: string, rawName: string, { novacron, virsh }: Pair): Figure[] {
  const [ours, raw] = [figure(name, novacron), figure(rawName, virsh)];
  const mostMs = percentile(virsh.toSorted((one, other) => one - other), 0.75);
  return [{ ...ours, against: compare(rawName, ours, raw), goal: { text: "the same: median within virsh's upper quartile", met: ours.summary.median <= mostMs } }, raw];
}

export const powerFigures = ({ create, start, stop, virshAlone }: PowerSamples): Figure[] => [
  ...compared('`createVm` until a subscriber sees RUNNING', '`virsh create`, same XML', create, VERB),
  ...compared('`startVm` until a subscriber sees RUNNING', '`virsh start`', start, VERB),
  ...compared('`stopVm(force: true)` until a subscriber sees STOPPED', '`virsh destroy`', stop, VERB),
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

export const volumeFigures = ({ create, clone }: VolumeSamples): Figure[] => [
  ...compared('`createVolume` (qcow2) until a subscriber sees SUCCEEDED', '`virsh vol-create`, same XML', create, VOLUME),
  ...compared('`createVm` from an image, not started, until a subscriber sees STOPPED', '`virsh vol-create-as --backing-vol`, `virsh define`', clone, VOLUME),
];

export const imageVmFigures = (samples: Pair): Figure[] =>
  compared('`createVm` from an image, with a seed, until the guest has its address', 'the same by a shell script with virsh', samples, IMAGE_VM);

const movesFigures = (what: string, flags: string, { total, downtime }: Moves): Figure[] => [
  ...compared(`\`migrateVm\`, ${what}, until a subscriber sees RUNNING`, `\`virsh migrate --live --p2p${flags}\``, total, MIGRATION),
  ...alike(`\`migrateVm\`, ${what}: the guest stands still`, `\`virsh migrate --live --p2p${flags}\`: the guest stands still`, downtime),
];

export const migrationFigures = ({ shared, copied }: MigrationSamples): Figure[] => [
  ...movesFigures('shared storage', '', shared),
  ...movesFigures('copied storage', ' --copy-storage-all', copied),
];

/** What the samples leave out. */
export const migrationNotes = ({ shared, copied }: MigrationSamples): string[] => {
  const lost = { novacron: shared.lost.novacron + copied.lost.novacron, virsh: shared.lost.virsh + copied.lost.virsh };
  if (lost.novacron + lost.virsh === 0) return [];
  return [
    `Guests that crashed on arrival and are in no figure: ${lost.novacron} of NovaCron's, ${lost.virsh} of virsh's. QEMU before 9.0 ` +
      'misses some of what an emulated guest writes while it is migrated (QEMU commit 03bfc2188f06); a guest on KVM is not affected.',
  ];
};
