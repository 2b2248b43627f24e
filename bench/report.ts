import type { AcceptanceSamples } from './acceptance.ts';
import type { Figure } from './figures.ts';
import type { LoadFigure } from './load/figures.ts';
import type { Hypervisor, Machine } from './machine.ts';

/** Everything that one run found, as bench/results.json keeps it. */
export interface Results {
  measuredAt: string;
  machine: Machine;
  loadAfter: number;
  figures: Figure[];
  /** What gateways did under load. */
  loads: LoadFigure[];
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

function loadRow({ name, summary, rate, arrived, expected, residentBytes, cpuShare, goals }: LoadFigure): string {
  const { count, median, p99, max } = summary;
  const share = arrived === expected ? '100 %' : `${((100 * arrived) / expected).toFixed(2)} %`;
  const cells = [
    name,
    count,
    ...[median, p99, max].map(ms),
    rate === null ? '' : Math.round(rate),
    share,
    mib(residentBytes),
    cpuShare === null ? '' : `${Math.round(100 * cpuShare)} %`,
    goals.map(({ text, met }) => `${text}: ${met ? 'met' : '**missed**'}`).join('; '),
  ];
  return `| ${cells.join(' | ')} |`;
}

const LOADS = [
  '| Load on a gateway (milliseconds) | n | median | p99 | max | a second | arrived | memory | CPU | goal |',
  '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |',
];
const FIGURES = ['| What (milliseconds) | n | median | p95 | p99 | min..max | against virsh | goal |', '| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |'];

const withGuests = ({ libvirt, qemu, accelerated }: Hypervisor): string =>
  `, libvirt ${libvirt}, QEMU ${qemu} ${accelerated ? 'with KVM' : 'without KVM (TCG)'}; PostgreSQL with fsync, Redis with its append-only file; ` +
  'the client is another process, over HTTP and one WebSocket; NovaCron and virsh took turns with the same guest';
const WITH_LOADS =
  '. Gateways under load are alone with their subgraphs in a process, their clients in another on the same machine; memory is what is resident, ' +
  'CPU a share of one core, and time runs from the commit of a change until a client\'s handler is called';

/** The figures for people: tables, and what they were measured on. */
export function toMarkdown({ measuredAt, machine, loadAfter, figures, loads, notes, memory }: Results): string {
  const { cpu, cores, memoryGiB, node, openFiles, hypervisor, loadBefore } = machine;
  const lines: string[] = [];
  if (figures.length > 0) lines.push(...FIGURES, ...figures.map(row), '');
  if (loads.length > 0) lines.push(...LOADS, ...loads.map(loadRow), '');
  for (const note of notes) lines.push(note, '');
  if (memory) {
    lines.push(`Resident memory of all roles in one process: ${mib(memory.started)} after the start, ${mib(memory.with100Vms)} with 100 VMs.`, '');
  }
  lines.push(
    `Measured ${measuredAt.slice(0, 10)} on ${cores} cores (${cpu}), ${memoryGiB} GiB, Node ${node}, ${openFiles} open files at most (\`ulimit -n\`)` +
      `${hypervisor === null ? '' : withGuests(hypervisor)}${loads.length > 0 ? WITH_LOADS : ''}. ` +
      `Load ${loadBefore} before and ${loadAfter} after the run. Repeat it: \`npm run bench\`.`,
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
