import { newId, type VmId } from '@novacron/core';
import type { StepRun } from '@novacron/operations';
import { migratedDatabase, type TestDatabase } from '@novacron/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase, type Database } from '../src/database.ts';
import { dropDisksStep } from '../src/operations/disks.ts';
import type { HostSteps } from '../src/operations/steps.ts';
import { claimedFiles } from '../src/store/pools.ts';

/** What the tables alone decide. */

let test: TestDatabase;
let owner: pg.Client;
let database: Database;
const [here, there] = [newId<string>(), newId<string>()];
const [source, target] = [newId<string>(), newId<string>()];
const tenantId = newId<string>();

const havePool = (id: string, hostId: string) =>
  database.pool.create({ data: { id, name: 'local', path: '/pool', state: 'READY', capacity: 1000n, room: 1000n, hosts: { create: { hostId, name: 'local', state: 'READY' } } } });
const haveVolume = (more: { vmId?: string; operationVerb?: string; target?: string } = {}) => {
  const id = newId<string>();
  return database.volume.create({ data: { id, tenantId, name: id, size: 10n, format: 'raw', poolId: here, libvirtName: `vol-${id}.raw`, state: 'IN_USE', ...more } });
};

beforeAll(async () => {
  test = await migratedDatabase();
  owner = new pg.Client({ connectionString: test.url });
  await owner.connect();
  database = openDatabase(test.url);
  await havePool(here, source);
  await havePool(there, target);
});
afterAll(async () => {
  await owner.end();
  await database.$disconnect();
  await test.drop();
});

const holdMigration = (vmId: string) => owner.query('SELECT storage.hold_migration($1::uuid, $2::uuid, $3::uuid, true)', [vmId, newId(), target]);

it.each(['detach', 'resize'])('a volume that a %s still has, though its VM is free again, goes to no other host', async (operationVerb) => {
  const vmId = newId<string>();
  await haveVolume({ vmId, target: 'vda' });
  const busy = await haveVolume({ vmId, target: 'vdb', operationVerb });
  await expect(holdMigration(vmId)).rejects.toMatchObject({ code: 'NC000', message: expect.stringMatching(`${busy.name}" is busy`) });
  expect(await database.pool.findUnique({ where: { id: there } })).toMatchObject({ claimed: 0n });

  await database.volume.update({ where: { id: busy.id }, data: { operationVerb: null } });
  await holdMigration(vmId);
  expect(await database.pool.findUnique({ where: { id: there } })).toMatchObject({ claimed: 20n });
  await database.pool.update({ where: { id: there }, data: { claimed: 0n } });
  await database.volume.deleteMany();
});

it('the disks of a VM are not dropped under the hands of who is not done with one of them', async () => {
  const vmId = newId<VmId>();
  const busy = await haveVolume({ vmId, target: 'vda', operationVerb: 'resize' });
  const { run } = dropDisksStep({ context: { database } } as HostSteps); // it does not come to its host
  await expect(run({} as StepRun, { vmId, keepVolumes: false })).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true, message: expect.stringMatching(`${busy.name}" is busy`) });
  await database.volume.deleteMany();
});

it('all that room is claimed for in a pool is known by its file, and so is nothing else', async () => {
  const volume = await haveVolume();
  const coming = await haveVolume();
  await database.volume.update({ where: { id: coming.id }, data: { poolId: there, targetPoolId: here } });
  const buried = await haveVolume();
  await database.volume.update({ where: { id: buried.id }, data: { deletedAt: new Date() } });
  await database.volumeSnapshot.create({ data: { id: newId(), volumeId: volume.id, name: 'kept', size: 10n, libvirtName: 'snapshot.raw' } });
  await database.seed.create({ data: { id: newId(), vmId: newId(), poolId: here, libvirtName: 'seed.iso', size: 1n, content: new Uint8Array(), keyId: 'k' } });
  const imageId = newId<string>();
  await database.image.create({ data: { id: imageId, name: 'image', poolId: here, copies: { create: { poolId: here, libvirtName: 'image.img', claimed: 5n } } } });
  expect([...(await claimedFiles(database, here))].toSorted()).toEqual([coming.libvirtName, 'image.img', 'seed.iso', 'snapshot.raw', volume.libvirtName].toSorted());
  expect([...(await claimedFiles(database, there))]).toEqual([coming.libvirtName]);
});
