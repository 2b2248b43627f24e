import { watchProcessFaults, type ProcessFaults } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { LIMITS, withstand } from './siege.ts';

let fixture: Fixture;
let faults: ProcessFaults;

beforeAll(async () => {
  fixture = await startGateway({ options: { rateLimits: LIMITS } });
  faults = watchProcessFaults();
});
afterAll(async () => {
  faults?.stop();
  await fixture.close();
});

it('others are served while a crowd of every kind is about, and nothing is left of it', async () => {
  await withstand(fixture, {
    silent: 1_000, headersDripped: 200, bodyDripped: 200, upgradeUnfinished: 200, socketSilent: 100, eventsSilent: 100,
    frameGiant: 100, eventsFrameGiant: 100, messageInParts: 50, frameSqueezed: 100, headersWithoutEnd: 20, headersMany: 50, bodySqueezed: 100,
    pinging: 5, pipelining: 2, deaf: 5, streamDeaf: 5, eventsDeaf: 5, churning: 3,
  });
  expect(faults.seen).toEqual([]);
});
