import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBells } from '../src/bells.ts';
import { startSweeper } from '../src/sweeper.ts';
import { sqlOf, startToyService, type ToyService, type ToyStep } from './toy-service.ts';

let service: ToyService;

beforeAll(async () => {
  service = await startToyService();
});
afterAll(() => service.close());

it('what is due already is rung for as soon as a sweeper can, not an interval later', async () => {
  const logger = pino({ level: 'silent' });
  const steps: ToyStep[] = [{ name: 'vms.a', undoable: false, run: () => Promise.resolve() }];
  const worker = service.work(steps);
  const id = await service.begin(steps, { ring: false });
  const bells = createBells(service.redis.options, logger); // not connected yet, as where a process begins
  const sweeper = startSweeper({ sql: sqlOf(service.operations), bells, logger, intervalMs: 3_600_000 });
  expect(await service.ended(id)).toMatchObject({ state: 'SUCCEEDED' });
  await sweeper.close();
  await bells.close();
  await worker.close();
});
