/**
 * Where a VM goes, and why: pure and deterministic, so that a decision can be stored with what it saw, explained and
 * replayed. Facts come in, policy is here, claims are the caller's.
 */

export const STRATEGIES = ['SPREAD', 'PACK'] as const;
/** SPREAD: where most is free (the default). PACK: where least is, so that other hosts stay empty. */
export type Strategy = (typeof STRATEGIES)[number];

export interface HostFacts {
  id: string;
  name: string;
  state: string;
  labels: Readonly<Record<string, unknown>>;
  /** With overcommit applied. Memory in bytes. */
  capacity: { vcpus: number; memory: number };
  /** The sum of claims. */
  allocated: { vcpus: number; memory: number };
  /** Ids of the VMs that are on it. */
  vmIds: ReadonlySet<string>;
  /** Why it can't take this VM whatever room it has: a disk or a network is not there. A sentence; null when nothing speaks against it. */
  unfit?: string | null;
}

export interface PlacementRequest {
  vcpus: number;
  /** Bytes. */
  memory: number;
  strategy: Strategy;
  /** This host and no other. */
  hostId?: string | undefined;
  /** Labels that the host must have, with these values. */
  requireLabels?: Readonly<Record<string, unknown>> | undefined;
  /** On a host with one of these VMs. */
  affinity?: readonly string[] | undefined;
  /** On no host with one of these VMs. */
  antiAffinity?: readonly string[] | undefined;
}

export interface Factor {
  name: string;
  weight: number;
  /** 0..1, more is better. */
  value: number;
}

export interface Candidate {
  hostId: string;
  /** The weighted mean of the factors, 0..1; null when the host was removed. */
  score: number | null;
  factors: Factor[];
  /** What removed it, as a sentence; null when it could take the VM. */
  rejectedBecause: string | null;
}

export interface Decision {
  chosenHostId: string | null;
  strategy: Strategy;
  /** The best first, then the removed ones, by name. */
  candidates: Candidate[];
}

const MIB = 2 ** 20;
const WEIGHTS = { memory: 2, vcpus: 1 } as const;

type Filter = (request: PlacementRequest, host: HostFacts) => string | null;

const shares = (host: HostFacts, vmIds: readonly string[] = []): boolean => vmIds.some((id) => host.vmIds.has(id));

/** Each says why a host can't take the VM, or null. The first that speaks is the reason. */
const FILTERS: readonly Filter[] = [
  (request, host) => (request.hostId !== undefined && request.hostId !== host.id ? 'Another host was asked for.' : null),
  (_request, host) => (host.state === 'ONLINE' ? null : `The host is ${host.state}.`),
  (_request, host) => host.unfit ?? null,
  (request, host) => {
    const missing = Object.entries(request.requireLabels ?? {}).find(([key, value]) => host.labels[key] !== value);
    return missing ? `The host has no label ${missing[0]}=${String(missing[1])}.` : null;
  },
  (request, host) =>
    request.affinity?.length && !shares(host, request.affinity) ? 'None of the VMs that it should be with is there.' : null,
  (request, host) => (shares(host, request.antiAffinity) ? 'A VM that it must keep away from is there.' : null),
  (request, host) => {
    const short = shortage(request, host);
    return short ? `The host is short by ${short}.` : null;
  },
];

/** What is missing on a host, in words; null when there is enough. */
function shortage(request: PlacementRequest, host: HostFacts): string | null {
  const memory = request.memory - (host.capacity.memory - host.allocated.memory);
  const vcpus = request.vcpus - (host.capacity.vcpus - host.allocated.vcpus);
  const parts = [
    ...(memory > 0 ? [`${Math.ceil(memory / MIB)} MiB of memory`] : []),
    ...(vcpus > 0 ? [`${vcpus} ${vcpus === 1 ? 'vCPU' : 'vCPUs'}`] : []),
  ];
  return parts.length > 0 ? parts.join(' and ') : null;
}

function factorsOf(request: PlacementRequest, host: HostFacts): Factor[] {
  /** What would be free with the VM there, as a share of what the host has. */
  const free = (kind: 'vcpus' | 'memory'): number =>
    host.capacity[kind] === 0 ? 0 : (host.capacity[kind] - host.allocated[kind] - request[kind]) / host.capacity[kind];
  const spread = request.strategy === 'SPREAD';
  const value = (kind: 'vcpus' | 'memory'): number => (spread ? free(kind) : 1 - free(kind));
  return [
    { name: spread ? 'freeMemory' : 'usedMemory', weight: WEIGHTS.memory, value: value('memory') },
    { name: spread ? 'freeVcpus' : 'usedVcpus', weight: WEIGHTS.vcpus, value: value('vcpus') },
  ];
}

function weightedMean(factors: readonly Factor[]): number {
  const weight = factors.reduce((sum, factor) => sum + factor.weight, 0);
  return factors.reduce((sum, factor) => sum + factor.weight * factor.value, 0) / weight;
}

const byName = (a: { name: string; id: string }, b: { name: string; id: string }): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1;

/** Decides. The same facts always give the same decision; equal scores go by name. */
export function place(request: PlacementRequest, hosts: readonly HostFacts[]): Decision {
  const judged = hosts.toSorted(byName).map((host): Candidate => {
    const reason = FILTERS.reduce<string | null>((found, filter) => found ?? filter(request, host), null);
    if (reason !== null) return { hostId: host.id, score: null, factors: [], rejectedBecause: reason };
    const factors = factorsOf(request, host);
    return { hostId: host.id, score: weightedMean(factors), factors, rejectedBecause: null };
  });
  // toSorted is stable: hosts of the same score stay in order of name
  const candidates = judged.toSorted((a, b) => (b.score ?? -1) - (a.score ?? -1));
  const best = candidates[0];
  return { chosenHostId: best && best.score !== null ? best.hostId : null, strategy: request.strategy, candidates };
}

/** One sentence on what came closest, for a refusal: "short by 512 MiB of memory on host b". */
export function nearestMiss(request: PlacementRequest, hosts: readonly HostFacts[]): string {
  if (hosts.length === 0) return 'No host is registered.';
  const decision = place(request, hosts);
  const reasonOf = new Map(decision.candidates.map((candidate) => [candidate.hostId, candidate.rejectedBecause]));
  const fitting = hosts.filter((host) => FILTERS.slice(0, -1).every((filter) => filter(request, host) === null));
  const missing = (host: HostFacts): number =>
    Math.max(0, request.memory - (host.capacity.memory - host.allocated.memory)) / Math.max(1, request.memory) +
    Math.max(0, request.vcpus - (host.capacity.vcpus - host.allocated.vcpus)) / Math.max(1, request.vcpus);
  const nearest = fitting.toSorted(byName).toSorted((a, b) => missing(a) - missing(b))[0];
  if (nearest) return `No host has room: short by ${shortage(request, nearest) ?? 'nothing'} on host ${nearest.name}.`;
  const asked = hosts.find((host) => host.id === request.hostId);
  if (asked) return `Host ${asked.name} can't take it: ${reasonOf.get(asked.id) ?? ''}`;
  const first = hosts.toSorted(byName)[0];
  return hosts.length === 1 && first
    ? `The only host, ${first.name}, can't take it: ${reasonOf.get(first.id) ?? ''}`
    : `None of the ${hosts.length} hosts can take it; ${first?.name ?? ''}: ${reasonOf.get(first?.id ?? '') ?? ''}`;
}
