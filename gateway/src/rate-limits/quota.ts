import { DomainError } from '@novacron/core';

/** So many points in any time so long; 0 points: as many as anyone likes. */
export interface Quota {
  name: string;
  points: number;
  windowMs: number;
}

/** Points to be taken from one caller's quota. */
export interface Charge {
  quota: Quota;
  /** Whose: unique among the quota's callers. */
  key: string;
  points: number;
}

/** How a caller stands after a charge. */
export interface Standing {
  quota: Quota;
  remaining: number;
  /** Until some of what was used comes back. */
  resetMs: number;
  /** Until this charge would be taken; 0 when it was, if no other one was refused beside it. */
  waitMs: number;
  /** Which slice of the window holds the charge. */
  slice: number;
}

/** Header fields of an answer, by name in lower case. */
export type Fields = Readonly<Record<string, string>>;

const seconds = (ms: number): number => Math.ceil(ms / 1_000);

/** A caller has used up, or holds, what it may. Retryable, after a time that is told. */
export class RateLimited extends DomainError {
  /** Of the answer: Retry-After. */
  readonly fields: Fields;

  constructor(message: string, waitMs: number) {
    const wait = Math.max(1, seconds(waitMs));
    super('RATE_LIMITED', `${message}: try again in ${wait} s.`);
    this.fields = { 'retry-after': String(wait) };
  }
}

/** RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10): what is allowed, and what is left of it. */
export function rateLimitFields(quotas: readonly Quota[], standings: readonly Standing[]): Fields {
  const policies = quotas.map(({ name, points, windowMs }) => `"${name}";q=${points};w=${seconds(windowMs)}`);
  const limits = standings.map(({ quota, remaining, resetMs }) => `"${quota.name}";r=${remaining};t=${seconds(resetMs)}`);
  return {
    ...(policies.length === 0 ? {} : { 'ratelimit-policy': policies.join(', ') }),
    ...(limits.length === 0 ? {} : { ratelimit: limits.join(', ') }),
  };
}
