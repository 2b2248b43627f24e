import type { DomainState } from '@novacron/libvirt';
import { describe, expect, it } from 'vitest';
import { decide, readSource, readTarget, SOURCE_SEEN, type Situation, type SourceSeen, type TargetSeen, type Verdict } from './outcome.ts';

const situation = (source: SourceSeen, target: TargetSeen | null, more: Partial<Situation> = {}): Situation => ({
  mode: 'LIVE',
  source,
  target,
  attempt: 'ENDED',
  cancelled: false,
  ...more,
});

/** After an attempt: source x target -> what is to be done. */
const TABLE: Record<SourceSeen, Record<TargetSeen | 'UNSEEN', Verdict>> = {
  MOVING: { ARRIVED: 'FOLLOW', INCOMING: 'FOLLOW', MISSING: 'FOLLOW', UNSEEN: 'FOLLOW' },
  HERE: { ARRIVED: 'DESTROY_SOURCE', INCOMING: 'STAYED', MISSING: 'STAYED', UNSEEN: 'STAYED' },
  HELD: { ARRIVED: 'DESTROY_SOURCE', INCOMING: 'DROP_TARGET', MISSING: 'RESUME_SOURCE', UNSEEN: 'WAIT' },
  OFF: { ARRIVED: 'ARRIVED', INCOMING: 'DROP_TARGET', MISSING: 'STAYED', UNSEEN: 'WAIT' },
  GONE: { ARRIVED: 'ARRIVED', INCOMING: 'WAIT', MISSING: 'LOST', UNSEEN: 'WAIT' },
};
const TARGETS = ['ARRIVED', 'INCOMING', 'MISSING', null] as const;
const everything = SOURCE_SEEN.flatMap((source) => TARGETS.map((target) => [source, target] as const));

describe('after an attempt has ended', () => {
  it.each(everything)('with the source %s and the target %s', (source, target) => {
    expect(decide(situation(source, target))).toBe(TABLE[source][target ?? 'UNSEEN']);
  });
});

/** The same where the target may run it by now. */
const UNSURE = { ...TABLE, HERE: { ARRIVED: 'DESTROY_SOURCE', INCOMING: 'DROP_TARGET', MISSING: 'STAYED', UNSEEN: 'WAIT' } } satisfies typeof TABLE;

describe.each([{ attempt: 'SWITCHED' }, { attempt: 'LOST', cancelled: true }] as const)('where the target may run it by now: %j', (more) => {
  it.each(everything)('with the source %s and the target %s', (source, target) => {
    expect(decide(situation(source, target, more))).toBe(UNSURE[source][target ?? 'UNSEEN']);
  });
});

describe('after an attempt that nobody followed to its end', () => {

  it.each([
    [null, 'WAIT'],
    ['INCOMING', 'DROP_TARGET'],
    ['MISSING', 'BEGIN'],
    ['ARRIVED', 'DESTROY_SOURCE'],
  ] as const)('with the guest running on the source, and the target %s: %s', (target, verdict) => {
    expect(decide(situation('HERE', target, { attempt: 'LOST' }))).toBe(verdict);
  });
});

describe('before any attempt', () => {
  it.each([null, 'MISSING', 'INCOMING'] as const)('begins, whatever the target shows (%s)', (target) => {
    expect(decide(situation('HERE', target, { attempt: 'NONE' }))).toBe('BEGIN');
  });

  it('stays when it was cancelled', () => {
    expect(decide(situation('HERE', null, { attempt: 'NONE', cancelled: true }))).toBe('STAYED');
  });
});

describe('the one copy', () => {
  const unsure = (['LOST', 'ENDED'] as const).flatMap((attempt) =>
    [false, true].flatMap((cancelled) =>
      (['HELD', 'OFF', 'GONE'] as const).flatMap((source) => (['ARRIVED', 'INCOMING', null] as const).map((target) => situation(source, target, { attempt, cancelled }))),
    ),
  );
  it.each(unsure)('is neither resumed nor said to stay on the source while the target may run it: $source, $target', (seen) => {
    expect(['RESUME_SOURCE', 'STAYED', 'BEGIN', 'LOST']).not.toContain(decide(seen));
  });

  it.each(everything.filter(([, target]) => target !== 'ARRIVED'))('is not destroyed on the source before it has arrived: %s, %s', (source, target) => {
    expect(decide(situation(source, target))).not.toBe('DESTROY_SOURCE');
  });

  it('that rests on the source after an offline migration has stayed only when the target has none', () => {
    expect(TARGETS.map((target) => decide(situation('HERE', target, { mode: 'OFFLINE' })))).toEqual(['ARRIVED', 'DROP_TARGET', 'STAYED', 'WAIT']);
  });

  it('that rests on both hosts after an offline migration has arrived', () => {
    expect(decide(situation('HERE', 'ARRIVED', { mode: 'OFFLINE' }))).toBe('ARRIVED');
  });
});

const state = (name: DomainState['state'], reason: string): DomainState => ({ state: name, reason, reasonCode: 0 }) as DomainState; // any pair, also of what libvirt would not say

describe('what libvirt shows', () => {
  it.each<[SourceSeen, DomainState | null, boolean, 'LIVE' | 'OFFLINE']>([
    ['GONE', null, false, 'LIVE'],
    ['MOVING', state('running', 'booted'), true, 'LIVE'],
    ['MOVING', state('paused', 'migration'), true, 'LIVE'],
    ['HERE', state('running', 'migration-canceled'), false, 'LIVE'],
    ['HERE', state('paused', 'user'), false, 'LIVE'],
    ['HELD', state('paused', 'migration'), false, 'LIVE'],
    ['HELD', state('paused', 'postcopy-failed'), false, 'LIVE'],
    ['OFF', state('shutoff', 'crashed'), false, 'LIVE'],
    ['OFF', state('crashed', 'panicked'), false, 'LIVE'],
    ['GONE', state('shutoff', 'migrated'), false, 'LIVE'],
    ['HERE', state('shutoff', 'shutdown'), false, 'OFFLINE'],
  ])('on the source: %s', (expected, seen, moving, mode) => {
    expect(readSource(seen, moving, mode)).toBe(expected);
  });

  it.each<[TargetSeen, DomainState | null]>([
    ['MISSING', null],
    ['INCOMING', state('paused', 'migration')],
    ['INCOMING', state('paused', 'starting-up')],
    ['ARRIVED', state('paused', 'user')],
    ['ARRIVED', state('running', 'migrated')],
    ['INCOMING', state('shutoff', 'failed')],
    ['ARRIVED', state('shutoff', 'crashed')],
    ['ARRIVED', state('shutoff', 'shutdown')],
    ['ARRIVED', state('shutoff', 'unknown')],
  ])('on the target: %s', (expected, seen) => {
    expect(readTarget(seen)).toBe(expected);
  });
});
