import fc from 'fast-check';
import type { EventRecord, Viewer } from '@novacron/contracts';
import { newId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { createEventGroup, type Member, type PlannedSubscription } from '@novacron/supergraph';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createEventHub } from '../src/events/hub.ts';
import { STREAMS, type EventStream } from '../src/events/streams.ts';
import { createTelemetry, subscriptionMetrics } from '../src/telemetry.ts';
import { MemoryEventLog } from './memory-event-log.ts';

const tenantId = newId<TenantId>();
const viewer: Viewer = { userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: [{ role: 'viewer', tenantId }] };
const facts = { name: 'web', state: 'RUNNING', desiredState: 'RUNNING', generation: 1, hostId: null, tags: [] } as const;

function append(log: MemoryEventLog): EventRecord {
  return log.append({ type: 'vm.changed', tenantId, entityId: newId(), before: { ...facts, tags: [] }, after: { ...facts, tags: [] } });
}

/** A group whose messages take as long to make as the test says. */
async function startGroup(log: MemoryEventLog, run: () => Promise<void>) {
  const subscription: PlannedSubscription<null> = {
    key: 'key',
    query: '',
    operationName: null,
    document: { kind: 'Document', definitions: [] } as never, // no group looks at it
    field: 'vmChanged',
    cursorVariable: null,
    services: new Set(),
    argumentsOf: () => ({}),
    run: async () => {
      await run();
      return { data: {} };
    },
  };
  const hub = await createEventHub(log, pino({ level: 'silent' }));
  const stream = STREAMS['vmChanged'] as EventStream; // by the table it is one
  return { hub, group: createEventGroup({ subject: { subscription, variables: {}, args: {}, viewer, contextOf: () => null }, stream, hub, history: log, metrics: subscriptionMetrics(createTelemetry()) }) };
}

function listen(): { member: Member; positions: number[]; errors: unknown[] } {
  const positions: number[] = [];
  const errors: unknown[] = [];
  const member: Member = {
    floor: 0,
    ended: false,
    send: ({ position }) => void positions.push(position),
    sendPatiently: async ({ position }) => void positions.push(position),
    fail: (error) => void errors.push(error),
  };
  return { member, positions, errors };
}

const turn = () => new Promise(setImmediate);

it('gives every member what it is owed once and in order, whenever it comes and however long messages take', async () => {
  const step = fc.record({ appended: fc.nat(4), joins: fc.constantFrom('live', 'after', 'nobody'), after: fc.nat(20), turns: fc.nat(3) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), fc.array(fc.nat(3), { minLength: 1, maxLength: 8 }), async (steps, delays) => {
      const log = new MemoryEventLog();
      append(log);
      let made = 0;
      const { hub, group } = await startGroup(log, async () => {
        const wait = delays[(made += 1) % delays.length] ?? 0;
        for (let count = 0; count < wait; count += 1) await turn();
      });
      const members: { from: number; positions: number[] }[] = [];
      const joining: Promise<void>[] = [];
      for (const { appended, joins, after, turns } of steps) {
        for (let count = 0; count < appended; count += 1) append(log);
        if (joins !== 'nobody') {
          const { member, positions } = listen();
          const from = joins === 'live' ? hub.position : Math.min(after, await log.head());
          members.push({ from, positions });
          joining.push(group.attach(member, joins === 'live' ? null : from));
        }
        for (let count = 0; count < turns; count += 1) await turn();
      }
      append(log);
      const head = await log.head();
      await Promise.all(joining);
      for (let count = 0; count < 1_000 && members.some(({ positions }) => positions.at(-1) !== head); count += 1) await turn();
      for (const { from, positions } of members) {
        expect(positions).toEqual(Array.from({ length: head - from }, (_, index) => from + 1 + index));
      }
      group.close();
      await hub.close();
    }),
    { numRuns: 100 },
  );
});

it('tells its members to come back when it falls too far behind', async () => {
  const log = new MemoryEventLog();
  const never = Promise.withResolvers<void>();
  const { hub, group } = await startGroup(log, () => never.promise);
  const { member, errors } = listen();
  await group.attach(member, null);
  for (let count = 0; count < 1_001; count += 1) append(log);
  expect(await hub.reaches(1_001, 5_000)).toBe(true);
  expect(errors).toMatchObject([{ code: 'UNAVAILABLE', retryable: true }]);
  expect(group.settled).toBe(0);
  group.close();
  await hub.close();
});
