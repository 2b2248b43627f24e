import { eventually, guest, GUEST_UP, guestXml, startLibvirtHosts, type TestHost } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Connection, DomainRef, TypedParams } from '../src/index.ts';
import { connect, ERROR_CODE, MIGRATE } from '../src/index.ts';
import { migrationParameters } from '../src/migration.ts';
import { failure } from './fake-daemon.ts';

describe('a migration', () => {
  let one: TestHost;
  let two: TestHost;
  let stop: (() => Promise<void>) | undefined;

  beforeAll(async () => {
    const started = await startLibvirtHosts(2);
    stop = started.stop;
    [one, two] = started.hosts as [TestHost, TestHost]; // two were asked for
  });
  afterAll(() => stop?.());

  async function open(host: TestHost): Promise<Connection> {
    const connection = await connect({ uri: 'qemu:///system', socketPath: host.socketPath });
    onTestFinished(() => connection.close());
    return connection;
  }

  /** A guest that is up on the first host. */
  async function startGuest({ domains }: Connection, name: string): Promise<DomainRef> {
    const running = await domains.start(await domains.define(guestXml(await guest(), { name })), { paused: true });
    const consoles = await open(one);
    let said = '';
    (await consoles.domains.openConsole(running)).on('data', (chunk: Buffer) => (said += chunk.toString()));
    await domains.resume(running);
    await eventually('the guest', () => said.includes(GUEST_UP), { timeoutMs: 40_000 });
    return running;
  }

  const destinationUri = 'qemu+tcp://hv2/system';

  it('moves a running guest, tells how far it is, and that it is done', async () => {
    const [source, destination] = [await open(one), await open(two)];
    const iterations: number[] = [];
    const completed: TypedParams[] = [];
    await source.onDomainEvent('migration-iteration', ({ iteration }) => iterations.push(iteration));
    await source.onDomainEvent('job-completed', ({ params }) => completed.push(params));
    const running = await startGuest(source, 'traveller');
    expect(await source.domains.jobStats(running)).toMatchObject({ type: 'none' });
    await source.domains.setMigrationMaxDowntime(running, 500);

    const flags = MIGRATE.LIVE | MIGRATE.PERSIST_DEST | MIGRATE.UNDEFINE_SOURCE | MIGRATE.AUTO_CONVERGE;
    const params = { bandwidthMiBps: 8, autoConvergeInitial: 10, autoConvergeIncrement: 20, name: 'arrived' };
    const migrated = source.domains.migrateToUri(running, { destinationUri, params, flags }, { deadlineMs: Infinity });
    await eventually('its progress', async () => {
      const { type, params: stats } = await source.domains.jobStats(running);
      return type === 'unbounded' && Number(stats['data_remaining']) > 0;
    });
    await source.domains.setMigrationMaxSpeed(running, 1_000);
    await migrated;

    const arrived = await destination.domains.lookupByUuid(running.uuid);
    expect(arrived.name).toBe('arrived');
    expect(await destination.domains.state(arrived)).toMatchObject({ state: 'running', reason: 'migrated' });
    expect(await failure(source.domains.state(running))).toMatchObject({ code: ERROR_CODE.NO_DOMAIN });
    const stats = await destination.domains.jobStats(arrived, { keepCompleted: true });
    expect(stats.type).toBe('completed');
    expect(await destination.domains.jobStats(arrived, { completed: true })).toEqual(stats);
    expect(await destination.domains.jobStats(arrived, { completed: true })).toMatchObject({ type: 'none' });
    await eventually('the events', () => completed.length > 0);
    expect(iterations[0]).toBe(1);
    expect(completed[0]?.['time_elapsed']).toBeGreaterThan(0n);
    await destination.domains.destroy(arrived);
    await destination.domains.undefine(arrived);
  });

  it('that is aborted leaves the guest where it was', async () => {
    const source = await open(one);
    const running = await startGuest(source, 'stayer');
    await source.domains.setMigrationMaxSpeed(running, 1);
    const migrated = failure(source.domains.migrateToUri(running, { destinationUri, flags: MIGRATE.LIVE }));
    await eventually('its start', async () => (await source.domains.jobStats(running)).type === 'unbounded');
    await source.domains.abortJob(running);
    expect(await migrated).toMatchObject({ kind: 'libvirt', code: ERROR_CODE.OPERATION_ABORTED });
    expect(await source.domains.state(running)).toMatchObject({ state: 'running' });
    expect(await (await open(two)).domains.list()).toEqual([]);
    expect(await failure(source.domains.abortJob(running))).toMatchObject({ code: ERROR_CODE.OPERATION_INVALID });
    await source.domains.destroy(running);

    const { domains } = await open(two);
    await source.domains.migrateToUri(running, { destinationUri, flags: MIGRATE.OFFLINE | MIGRATE.PERSIST_DEST });
    expect(await domains.list({ active: false })).toMatchObject([{ name: 'stayer' }]);
  });
});

describe('a migration’s parameters', () => {
  it('have the types that the daemon insists on, and lists are repeated', () => {
    const params = migrationParameters({ bandwidthMiBps: 5, migrateDisks: ['vda', 'vdb'], disksPort: 49_200, uri: 'tcp://hv2' });
    expect(params).toEqual([
      { field: 'migrate_uri', type: 'string', value: 'tcp://hv2' },
      { field: 'bandwidth', type: 'ullong', value: 5 },
      { field: 'migrate_disks', type: 'string', value: 'vda' },
      { field: 'migrate_disks', type: 'string', value: 'vdb' },
      { field: 'disks_port', type: 'int', value: 49_200 },
    ]);
  });
});
