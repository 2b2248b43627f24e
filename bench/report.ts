import type { AcceptanceSamples } from './acceptance.ts';
import type { Figure } from './figures.ts';
import type { Machine } from './machine.ts';

/** Everything that one run found, as bench/results.json keeps it. */
export interface Results {
  measuredAt: string;
  machine: Machine;
  loadAfter: number;
  figures: Figure[];
  /** What must be said beside them. */
  notes: string[];
  /** Resident memory of the whole system in one process, in bytes. */
  memory: AcceptanceSamples['memory'] | null;
}

const ms = (value: number): string => (value < 100 ? value.toFixed(1) : value.toFixed(0));
const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

function row({ name, summary, against, goal }: Figure): string {
  const { count, median, p95, p99, min, max } = summary;
  const ratio = against ? `${against.ratio.toFixed(2)}×, ${against.moreMs < 0 ? '−' : '+'}${ms(Math.abs(against.moreMs))} ms` : '';
  const verdict = goal ? `${goal.text}: ${goal.met ? 'met' : '**missed**'}` : '';
  return `| ${[name, count, ms(median), ms(p95), ms(p99), `${ms(min)}..${ms(max)}`, ratio, verdict].join(' | ')} |`;
}

/** The figures for people: one table, and what they were measured on. */
export function toMarkdown({ measuredAt, machine, loadAfter, figures, notes, memory }: Results): string {
  const { cpu, cores, memoryGiB, node, libvirt, qemu, accelerated, loadBefore } = machine;
  const lines = [
    '| What (milliseconds) | n | median | p95 | p99 | min..max | against virsh | goal |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |',
    ...figures.map(row),
    '',
  ];
  for (const note of notes) lines.push(note, '');
  if (memory) {
    lines.push(`Resident memory of all roles in one process: ${mib(memory.started)} after the start, ${mib(memory.with100Vms)} with 100 VMs.`, '');
  }
  lines.push(
    `Measured ${measuredAt.slice(0, 10)} on ${cores} cores (${cpu}), ${memoryGiB} GiB, Node ${node}, libvirt ${libvirt}, ` +
      `QEMU ${qemu} ${accelerated ? 'with KVM' : 'without KVM (TCG)'}; load ${loadBefore} before and ${loadAfter} after the run. ` +
      'PostgreSQL with fsync, Redis with its append-only file; the client is another process, over HTTP and one WebSocket. ' +
      'NovaCron and virsh took turns with the same guest. Repeat it: `npm run bench`.',
  );
  return lines.join('\n');
}

const [BEGIN, END] = ['<!-- bench -->', '<!-- /bench -->'] as const;

/** The README with this table in its place. */
export function intoReadme(readme: string, markdown: string): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`README.md has no place for the figures: it lacks ${BEGIN} and ${END}.`);
  return `${readme.slice(0, begin + BEGIN.length)}\n${markdown}\n${readme.slice(end)}`;
}
