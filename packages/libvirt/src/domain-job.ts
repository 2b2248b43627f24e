import type { TypedParams } from './structures.ts';

/** Source: libvirt 9.0.0 include/libvirt/libvirt-domain.h, virDomainJobType; the position is libvirt's number. */
const JOB_TYPES = ['none', 'bounded', 'unbounded', 'completed', 'failed', 'cancelled'] as const;

/** A job of a domain: a migration, a save, a dump, a backup. */
export interface DomainJob {
  /** `bounded` and `unbounded` run; `unknown` stands for a number that this client does not know. */
  readonly type: (typeof JOB_TYPES)[number] | 'unknown';
  readonly params: TypedParams;
}

/** libvirt's number in a word. */
export function describeJob({ type, params }: { type: number; params: TypedParams }): DomainJob {
  return { type: JOB_TYPES[type] ?? 'unknown', params };
}
