import type { Sides } from '../peer.ts';
import { SIGN_INS_PER_SECOND, type Flood } from '../sign-in-flood.ts';
import type { Soak } from '../soak.ts';
import { summarize, type Summary } from '../statistics.ts';
import { CLIENTS_PER_TOPIC, eventsPerSecond, type Scale } from './scale.ts';

/** What a gateway did under load. */
export interface Load {
  /** In milliseconds. */
  latencies: ArrayLike<number>;
  /** What came, and what should have come. */
  arrived: number;
  expected: number;
  /** Messages that were not the next one of their VM. */
  outOfOrder: number;
  /** A second; null where that says nothing. */
  rate: number | null;
  /** Of the gateway's process. */
  residentBytes: number;
  /** Of one core; null where that says nothing. */
  cpuShare: number | null;
}

/** One line of the table. */
export interface LoadFigure extends Omit<Load, 'latencies'> {
  name: string;
  /** In milliseconds. */
  summary: Summary;
  goals: readonly Goal[];
}

export interface Goal {
  text: string;
  met: boolean;
}

const DELIVERED_P99_MS = 50;
const RESIDENT_BYTES = 400e6;
/** How much more of the heap may be in use at the end of a soak: what is collected when is not told exactly. */
const HEAP_GROWTH = 1.1;

type Measured = Omit<LoadFigure, 'goals'>;

function loadFigure(name: string, { latencies, ...load }: Load, goalsOf: (figure: Measured) => readonly Goal[]): LoadFigure {
  const figure = { name, ...load, summary: summarize(Array.from(latencies)) };
  return { ...figure, goals: goalsOf(figure) };
}

const everything = ({ arrived, expected, outOfOrder }: Measured): Goal => ({ text: '100 %, in order', met: arrived === expected && outOfOrder === 0 });

const number = (value: number): string => value.toLocaleString('en');
const crowd = (clients: number): string => `${number(clients)} graphql-ws clients on ${number(clients / CLIENTS_PER_TOPIC)} VMs, ${number(eventsPerSecond(clients))} changes a second`;

export const subscriptionFigures = (load: Load, { clients }: Scale): LoadFigure[] => [
  loadFigure(`${crowd(clients)}, fields of three subgraphs`, load, (figure) => [
    { text: `p99 < ${DELIVERED_P99_MS} ms`, met: figure.summary.p99 < DELIVERED_P99_MS },
    everything(figure),
    { text: '< 400 MB', met: figure.residentBytes < RESIDENT_BYTES },
  ]),
];

export const broadcastFigures = (load: Load, { clients }: Scale): LoadFigure[] => [
  loadFigure(`One change for ${number(clients)} clients, until the last has it`, load, (figure) => [everything(figure)]),
];

export const peerFigures = ({ novacron, hive }: Sides, { clients }: Scale): LoadFigure[] => [
  loadFigure(`${crowd(clients / 5)}, subgraphs over HTTP`, novacron, (figure) => [everything(figure)]),
  loadFigure('the same through @graphql-hive/gateway-runtime', hive, () => []),
];

export function peerNotes({ novacron, hive }: Sides): string[] {
  const [ours, theirs] = [loadFigure('', novacron, () => []), loadFigure('', hive, () => [])];
  const ratio = (of: (figure: LoadFigure) => number): string => `${(of(theirs) / of(ours)).toFixed(1)}×`;
  return [
    `Hive Gateway against NovaCron's: ${ratio(({ summary }) => summary.median)} the median, ${ratio(({ summary }) => summary.p99)} the p99, ` +
      `${ratio(({ cpuShare }) => cpuShare ?? 0)} the CPU and ${ratio(({ residentBytes }) => residentBytes)} the memory. It holds a stream from the events subgraph for each client ` +
      '(server-sent events) and was asked without authentication; NovaCron reads the event log itself and checked the token of each client.',
  ];
}

export const httpFigures = (load: Load, { clients }: Scale): LoadFigure[] => [
  loadFigure(`${number(clients / 10)} HTTP clients at once, a query of two subgraphs`, load, ({ arrived, expected }) => [{ text: 'no error', met: arrived === expected }]),
];

/** How much longer others' queries may take while too many people sign in. */
const FLOOD_GROWTH = 2;

export function floodFigures({ quiet, flooded }: Flood): LoadFigure[] {
  const noError = ({ arrived, expected }: Measured): Goal => ({ text: 'no error', met: arrived === expected });
  const alone = loadFigure(`${number(Math.round(quiet.rate ?? 0))} queries a second of three subgraphs`, quiet, (figure) => [noError(figure)]);
  const most = FLOOD_GROWTH * alone.summary.p99;
  const beside = loadFigure(`the same beside ${SIGN_INS_PER_SECOND} sign-ins a second`, flooded, (figure) => [noError(figure), { text: `p99 ≤ ${FLOOD_GROWTH}× that`, met: figure.summary.p99 <= most }]);
  return [alone, beside];
}

export function floodNotes({ signIns: { asked, errors } }: Flood): string[] {
  const found = Object.entries(errors).map(([code, count]) => `${number(count)} ${code}`);
  return [`Of ${number(asked)} sign-ins with wrong passwords: ${found.join(', ')}. One core hashes; whoever would wait for more than 2 s is refused.`];
}

export const soakFigures = ({ load, heap }: Soak, { clients, minutes }: Scale): LoadFigure[] => [
  loadFigure(`${number(clients / 5)} clients that come and go, ${minutes} minutes`, load, (figure) => [
    everything(figure),
    { text: `heap ≤ ${HEAP_GROWTH}× that after minute 1`, met: (heap.at(-1) ?? 0) <= (heap[0] ?? 0) * HEAP_GROWTH },
  ]),
];

export const soakNotes = ({ visits, heap }: Soak): string[] => [
  `The soak had ${number(visits)} visits; in use on the heap after each minute's collection: ${heap.map((bytes) => (bytes / 1e6).toFixed(1)).join(', ')} MB.`,
];
