import { readFileSync } from 'node:fs';
import { rotateMasterKey } from '@novacron/secrets';
import { eventually } from '@novacron/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Graph } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople } from '../kit/people.ts';
import { haveVm } from '../kit/vm.ts';
import { haveVolume, localPools } from './storage.ts';

/** Encrypted volumes, whose passphrases are sealed, across a change of the master key. */

let system: Embedded;
let operator: Graph;
let pool: pg.Pool;

beforeAll(async () => {
  system = await startEmbedded();
  const people = await makePeople(system.graph);
  operator = system.graph.as(people.operator);
  await system.registerHost(system.graph.as(people.platformAdmin));
  await eventually('the pool of the host', async () => (await localPools(system)).size === 1);
  pool = new pg.Pool({ connectionString: system.databaseUrl, max: 2 });
});
afterAll(async () => {
  await pool?.end();
  await system?.close();
});

it('a volume opens after the key that it was sealed with is gone, in the agent that has run all the while', async () => {
  const volume = await haveVolume(operator, { encrypted: true, format: 'raw' });
  const vm = await haveVm(operator, system.guest, { networks: [] });
  const file = system.environment.keys.master;
  const before = readFileSync(file);
  await rotateMasterKey({ masterKeyFile: file, pool, graceMs: 500 });
  expect(readFileSync(file)).toHaveLength(32);
  expect(readFileSync(file)).not.toEqual(before);

  await volume.does((one) => one.attach(vm.id));
  expect(await volume.read()).toMatchObject({ state: 'IN_USE', attachedTo: { id: vm.id } });
  await volume.does((one) => one.detach());
  await volume.does((one) => one.delete());
  const another = await haveVolume(operator, { encrypted: true, format: 'raw' });
  await another.does((one) => one.delete());
}, 400_000); // LUKS stretches keys for seconds of CPU time
