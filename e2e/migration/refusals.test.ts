import { domainName } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Loose } from '../kit/client.ts';
import type { Vm } from '../kit/vm.ts';
import { claimsAddUp, haveVmOn, isOnlyOn, MIB, migrate, refused, startFleet, type Fleet } from './moves.ts';

/** What can't be moved, and why: one coded error with its field, nothing changed, nothing left. */

let fleet: Fleet;
let running: Vm;
let here: string;
let there: string;

beforeAll(async () => {
  fleet = await startFleet();
  [here, there] = fleet.hostIds as [string, string]; // startFleet registers two
  running = await haveVmOn(fleet, here);
});
afterEach(async () => {
  await claimsAddUp(fleet);
  await isOnlyOn(fleet, running, here);
});
afterAll(() => fleet?.close());

describe('is refused before anything begins', () => {
  const cases: [string, Loose, { code: string; field: string }][] = [
    ['an unknown VM', { vmId: newId() }, { code: 'NOT_FOUND', field: 'vmId' }],
    ['a VM id that is none', { vmId: 'x' }, { code: 'NOT_FOUND', field: 'vmId' }],
    ['an unknown host', { hostId: newId() }, { code: 'NOT_FOUND', field: 'hostId' }],
    ['an offline migration of what runs', { mode: 'OFFLINE' }, { code: 'INVALID_STATE', field: 'vmId' }],
    ['an unknown mode', { mode: 'POSTCOPY' }, { code: 'BAD_USER_INPUT', field: 'mode' }],
    ['a bandwidth that is none', { bandwidthBytesPerSecond: 0 }, { code: 'BAD_USER_INPUT', field: 'bandwidthBytesPerSecond' }],
    ['an endless idempotency key', { idempotencyKey: 'x'.repeat(256) }, { code: 'BAD_USER_INPUT', field: 'idempotencyKey' }],
  ];
  it.each(cases)('%s', async (_title, input, expected) => {
    expect(await refused(fleet.operator, { vmId: running.id, hostId: there, ...input })).toMatchObject(expected);
  });

  it('the host that it is on', async () => {
    expect(await refused(fleet.operator, { vmId: running.id, hostId: here })).toMatchObject({ code: 'BAD_USER_INPUT', field: 'hostId' });
  });

  it('a live migration of what is off', async () => {
    const vm = await haveVmOn(fleet, here, { start: false });
    expect(await refused(fleet.operator, { vmId: vm.id, hostId: there })).toMatchObject({ code: 'INVALID_STATE', field: 'vmId' });
    await vm.does('delete');
  });

  it.each(['MAINTENANCE', 'DRAINING'])('a host that is %s', async (state) => {
    const { sql } = fleet.system;
    await sql('UPDATE vms.host SET state = $2::vms.host_state WHERE id = $1', [there, state]);
    try {
      expect(await refused(fleet.operator, { vmId: running.id, hostId: there })).toMatchObject({ code: 'INVALID_STATE', field: 'hostId' });
      expect(await refused(fleet.operator, { vmId: running.id }), `with another that is ${state}`).toMatchObject({ code: 'NO_CAPACITY', field: 'hostId' });
    } finally {
      await sql("UPDATE vms.host SET state = 'ONLINE' WHERE id = $1", [there]);
    }
  });

  it.each(['source', 'target'])('a %s that other hosts can not reach', async (which) => {
    const { sql } = fleet.system;
    const id = which === 'source' ? here : there;
    const [host] = await sql('SELECT migration_uri FROM vms.host WHERE id = $1', [id]);
    await sql('UPDATE vms.host SET migration_uri = NULL WHERE id = $1', [id]);
    try {
      expect(await refused(fleet.operator, { vmId: running.id, hostId: there })).toMatchObject({ code: 'INVALID_STATE', field: 'hostId', message: expect.stringContaining('migrationUri') });
    } finally {
      await sql('UPDATE vms.host SET migration_uri = $2 WHERE id = $1', [id, host?.['migration_uri']]);
    }
  });

  it('a host without room', async () => {
    const { sql } = fleet.system;
    const [host] = await sql('SELECT capacity_memory FROM vms.host WHERE id = $1', [there]);
    const refusal = await eventually('a refusal for want of room', async () => {
      await sql('UPDATE vms.host SET capacity_memory = $2 WHERE id = $1', [there, 64 * MIB]); // its agent reports what it has, from time to time
      const answer = await fleet.operator.ask('mutation ($input: MigrateVmInput!) { migrateVm(input: $input) { migration { id } } }', { input: { vmId: running.id, hostId: there } });
      return answer.errors[0] ?? null;
    });
    await sql('UPDATE vms.host SET capacity_memory = $2 WHERE id = $1', [there, host?.['capacity_memory']]);
    expect(refusal).toMatchObject({ message: 'Host "hv2" is short by 32 MiB of memory.', extensions: { code: 'NO_CAPACITY', field: 'hostId' } });
  });
});

describe('a check on the hosts', () => {
  it('refuses a VM with a disk that NovaCron knows nothing of: nothing was done', async () => {
    const vm = await haveVmOn(fleet, here);
    const host = fleet.hostOf(here);
    await host.exec('sh', '-c', 'truncate -s 1M /tmp/some.img && chmod 644 /tmp/some.img');
    await host.virsh('attach-disk', domainName(vm.id), '/tmp/some.img', 'vdb', '--live');
    const move = await migrate(fleet.operator, { vmId: vm.id, hostId: there });
    expect(await move.ends()).toMatchObject({
      state: 'FAILED',
      error: { code: 'INVALID_STATE', field: 'vmId', message: 'The VM has a disk that is in no storage pool.' },
      operation: { state: 'FAILED' },
    });
    await isOnlyOn(fleet, vm, here);
    await vm.does('delete');
  });

  it('refuses a target that has a domain of this VM', async () => {
    const other = fleet.hostOf(there);
    const xml = `<domain type='qemu'><name>someone-elses</name><uuid>${running.id}</uuid><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os></domain>`;
    await other.exec('sh', '-c', `cat > /tmp/domain.xml <<'END'\n${xml}\nEND\nvirsh -q define /tmp/domain.xml`);
    const move = await migrate(fleet.operator, { vmId: running.id, hostId: there });
    expect(await move.ends()).toMatchObject({ state: 'FAILED', error: { code: 'INVALID_STATE', field: 'hostId' } });
    expect(await other.virsh('list', '--all', '--name')).toContain('someone-elses'); // it is not ours to remove
    await other.virsh('undefine', 'someone-elses');
  });
});

describe('who may', () => {
  it('is who has vm:migrate, and migration:cancel, in the tenant of the VM', async () => {
    const { system, people } = fleet;
    const input = { vmId: running.id, hostId: there };
    expect((await refused(system.graph.as(people.viewer), input)).code).toBe('FORBIDDEN');
    // in the same words as a VM that there is not
    const stranger = system.graph.as(people.stranger);
    expect(await refused(stranger, input)).toEqual(await refused(stranger, { ...input, vmId: newId() }));
    expect((await refused(system.graph, input)).code).toBe('UNAUTHENTICATED');
  });
});
