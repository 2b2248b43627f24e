import { domainName } from '@novacron/contracts';
import { newId, type VmId } from '@novacron/core';
import { connect, type Connection } from '@novacron/libvirt';
import { startLibvirtHosts, type LibvirtHosts } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readDomain, removeIncoming } from '../src/guest.ts';
import { readTarget } from '../src/outcome.ts';

let all: LibvirtHosts;
let connection: Connection;

beforeAll(async () => {
  all = await startLibvirtHosts(1);
  connection = await connect({ uri: 'qemu:///system', socketPath: all.hosts[0]?.socketPath ?? '' });
});
afterAll(async () => {
  await connection?.close();
  await all?.stop();
});

async function define(): Promise<VmId> {
  const vmId = newId<VmId>();
  await connection.domains.define(
    `<domain type='qemu'><name>${domainName(vmId)}</name><uuid>${vmId}</uuid><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type><kernel>/nowhere/vmlinuz</kernel></os></domain>`,
  );
  return vmId;
}

it('what was defined for a guest that libvirt could not let go is removed', async () => {
  const vmId = await define();
  const domain = await connection.domains.lookupByUuid(vmId);
  await expect(connection.domains.start(domain)).rejects.toMatchObject({ kind: 'libvirt' });
  const view = await readDomain(connection, vmId);
  expect([view?.state, readTarget(view?.state ?? null)]).toMatchObject([{ state: 'shutoff', reason: 'failed' }, 'INCOMING']);
  expect(await removeIncoming(connection, vmId)).toBe(true);
  expect(await readDomain(connection, vmId)).toBeNull();
});

it('a guest that is off for another reason stays', async () => {
  const vmId = await define();
  expect(await removeIncoming(connection, vmId)).toBe(true);
  expect(await readDomain(connection, vmId)).not.toBeNull();
});
