import { watchProcessFaults, type ProcessFaults } from '@novacron/testkit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { LIMITS, withstand } from './siege.ts';

let fixture: Fixture;
let faults: ProcessFaults;

beforeEach(async () => {
  fixture = await startGateway({ options: { rateLimits: LIMITS } });
  faults = watchProcessFaults();
});
afterEach(async () => {
  faults?.stop();
  await fixture.close();
});

it('others are served while ten thousand come at once', { timeout: 120_000 }, async () => {
  await withstand(fixture, { silent: 10_000 });
  expect(faults.seen).toEqual([]);
});

it('others are served while thousands drip and hold, longer than anything may take', { timeout: 120_000 }, async () => {
  const crowd = { headersDripped: 2_000, bodyDripped: 2_000, upgradeUnfinished: 1_000, socketSilent: 1_000, eventsSilent: 1_000, frameGiant: 500, deaf: 5, streamDeaf: 5, eventsDeaf: 5 } as const;
  await withstand(fixture, crowd, { toTheLast: true });
  expect(faults.seen).toEqual([]);
});
