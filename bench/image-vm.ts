import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, testRun } from '@novacron/testkit';
import { POOL } from './image.ts';
import type { Lab } from './lab.ts';
import { fileOf, inTurns, timed, type Pair } from './turns.ts';

const run = promisify(execFile);

const WARM_UP = 1;
/** How often the client looks whether the guest has its address; the script sleeps as long between two looks. */
const LOOK_MS = 50;
/** The script's network, of the kind that NovaCron's is; that one's entries are NovaCron's alone, which removes all others. */
const NETWORK = 'bench';
const networkXml = `<network>
  <name>${NETWORK}</name>
  <forward mode='nat'/>
  <bridge name='${NETWORK}' stp='off' delay='0'/>
  <ip address='192.168.231.1' netmask='255.255.255.0'>
    <dhcp><host mac='52:54:00:be:ac:ff' ip='192.168.231.254'/></dhcp>
  </ip>
</network>
`;
const USER_DATA = '#!/bin/sh\necho made by the bench\n';

interface SeenNics {
  vm: { nics: { mac: string; address: string | null; ipAddresses: string[] }[] };
}
const NICS = 'query ($id: ID!) { vm(id: $id) { nics { mac address ipAddresses } } }';

/**
 * A VM from the test image, with a seed and a NIC in the default network, until its address is seen: on `nics.ipAddresses`, and
 * by a shell script that does the same steps with virsh, among the leases of the same network.
 */
export async function measureImageVm(lab: Lab, rounds: number): Promise<Pair> {
  const { client, host } = lab;
  const image = await lab.image();
  const create = (start: boolean) => {
    const name = lab.newName();
    return client.createVm({ name, memory: '128MiB', start, imageId: image.id, cloudInit: { hostname: name, userData: USER_DATA } });
  };
  const nicOf = async (vmId: string) => {
    const [nic] = (await client.ask<SeenNics>(NICS, { id: vmId })).vm.nics;
    if (!nic) throw new Error('The VM has no NIC.');
    return nic;
  };
  const remove = async (vmId: string): Promise<void> => {
    const { sentAt } = await client.verb('deleteVm', vmId);
    await client.watch.reached(vmId, 'DELETED', sentAt);
  };
  const quiet = () => eventually('the end of the last guest', () => host.qemuPids().length === 0);

  // what the script's domains are defined like; it is not started, and stays for the sake of its network filter
  const model = await create(false);
  await client.watch.reached(model.vmId, 'STOPPED', 0);
  const { xml, bootDisk } = await image.domainOf(model.vmId);
  const modelNic = await nicOf(model.vmId);
  const seedDisk = [...xml.matchAll(/<source pool='nc-local' volume='([^']*)'/g)].map((match) => match[1] ?? '').find((name) => name !== bootDisk.name);
  if (seedDisk === undefined) throw new Error('The VM has no seed.');
  await host.virsh('net-define', await fileOf('network.xml', networkXml));
  await host.virsh('net-start', NETWORK);

  const samples = await inTurns(rounds, WARM_UP, {
    async novacron() {
      const { vmId, sentAt } = await create(true);
      await eventually('the address of the guest', async () => (await nicOf(vmId)).ipAddresses.length > 0, { timeoutMs: 60_000, intervalMs: LOOK_MS });
      const tookMs = performance.now() - sentAt;
      await remove(vmId);
      await quiet();
      return tookMs;
    },
    async virsh(round) {
      const guest = await scripted(round);
      const tookMs = await timed(() => run('bash', [join(import.meta.dirname, 'image-vm.sh'), ...guest.parameters]));
      await guest.remove();
      await quiet();
      return tookMs;
    },
  });
  await remove(model.vmId);
  await host.virsh('net-destroy', NETWORK);
  await host.virsh('net-undefine', NETWORK);
  return samples;

  /** A guest of the script's, with a MAC and an address that no guest had before: else the lease would be there already. */
  async function scripted(round: number): Promise<{ parameters: string[]; remove(): Promise<void> }> {
    const name = `bench-script-${round}`;
    const number = 2 + (round % 250);
    const [mac, address] = [`52:54:00:be:ac:${number.toString(16).padStart(2, '0')}`, `192.168.231.${number}`];
    const definition = await fileOf(
      `${name}.xml`,
      xml
        .replace(/<name>.*?<\/name>/, `<name>${name}</name>`)
        .replace(/<uuid>.*?<\/uuid>/, `<uuid>${randomUUID()}</uuid>`)
        .replaceAll(bootDisk.name, `${name}.qcow2`)
        .replaceAll(seedDisk ?? '', `${name}-seed.raw`)
        .replace(/<source network='[^']*'/, `<source network='${NETWORK}'`)
        .replaceAll(modelNic.mac, mac)
        .replaceAll(`'${modelNic.address}'`, `'${address}'`),
    );
    const seed = (await testRun()).makeDirectory('seed');
    writeFileSync(join(seed, 'meta-data'), `instance-id: ${name}\nlocal-hostname: ${name}\n`);
    writeFileSync(join(seed, 'user-data'), USER_DATA);
    const entry = `<host mac='${mac}' ip='${address}'/>`;
    return {
      parameters: [host.uri, name, definition, seed, bootDisk.image, String(bootDisk.size), NETWORK, mac, address],
      async remove() {
        await host.virsh('destroy', name);
        await host.virsh('undefine', name);
        for (const volume of [`${name}.qcow2`, `${name}-seed.raw`]) await host.virsh('vol-delete', '--pool', POOL, volume);
        await host.virsh('net-update', NETWORK, 'delete', 'ip-dhcp-host', entry, '--live', '--config');
      },
    };
  }
}
