import { eventually, guest, GUEST_UP, guestXml } from '@novacron/testkit';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Connection, DomainRef } from '../src/index.ts';
import { AFFECT, COMPARE_CPU, connect, ERROR_CODE } from '../src/index.ts';
import { failure } from './fake-daemon.ts';
import { useHost } from './private-host.ts';

const MiB = 1 << 20;
const MAC = '52:54:00:00:00:77';

const host = useHost();

async function open(uri = 'qemu:///system'): Promise<Connection> {
  const connection = await connect({ uri, socketPath: host().socketPath });
  onTestFinished(() => connection.close());
  return connection;
}

/** A guest that is up: only then does it let go of its devices. Two ports wait for them. */
async function startGuest(connection: Connection, name: string): Promise<DomainRef> {
  const ports = [1, 2].map((index) => `<controller type='pci' index='${index}' model='pcie-root-port'/>`).join('');
  const { domains } = connection;
  const xml = guestXml(await guest(), { name, devices: ports });
  const running = await domains.start(await domains.define(xml), { paused: true });
  const consoles = await open();
  let said = '';
  (await consoles.domains.openConsole(running)).on('data', (chunk: Buffer) => (said += chunk.toString()));
  await domains.resume(running);
  await eventually('the guest', () => said.includes(GUEST_UP), { timeoutMs: 40_000 });
  return running;
}

describe('a guest’s devices', () => {
  it('come, grow and go', async () => {
    const connection = await open();
    const { domains } = connection;
    const seen: string[] = [];
    for (const kind of ['device-added', 'device-removed', 'device-removal-failed'] as const) {
      await connection.onDomainEvent(kind, (event) => seen.push(`${event.kind} ${event.alias}`));
    }
    const running = await startGuest(connection, 'devices');
    await host().exec('truncate', '-s', '1M', '/var/lib/libvirt/images.raw');
    const disk =
      "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/libvirt/images.raw'/>" +
      "<target dev='vda' bus='virtio'/><alias name='ua-data'/></disk>";
    await domains.attachDevice(running, disk, AFFECT.LIVE);
    await eventually('the disk', () => seen.includes('device-added ua-data'));
    expect(await domains.blockInfo(running, 'vda')).toMatchObject({ capacity: MiB, physical: MiB });
    await domains.blockResize(running, 'vda', 3 * MiB);
    expect(await domains.blockInfo(running, 'vda')).toMatchObject({ capacity: 3 * MiB });
    await domains.detachDevice(running, disk, AFFECT.LIVE);
    await eventually('the end of the disk', () => seen.includes('device-removed ua-data'), { timeoutMs: 20_000 });
    expect(await failure(domains.detachDevice(running, disk, AFFECT.LIVE))).toMatchObject({ code: ERROR_CODE.DEVICE_MISSING });
    expect(await domains.xml(running)).not.toContain('ua-data');

    await host().exec('mkdir', '/var/lib/libvirt/dnsmasq'); // a package with dnsmasq would have made it
    await connection.networks.start(await connection.networks.define(
      "<network><name>lan</name><bridge name='br-lan'/><dns enable='no'/><ip address='192.168.78.1' netmask='255.255.255.0'/></network>",
    ));
    const nic = (state: string) =>
      `<interface type='network'><mac address='${MAC}'/><source network='lan'/><model type='virtio'/><link state='${state}'/><alias name='ua-nic'/></interface>`;
    await domains.attachDevice(running, nic('up'), AFFECT.LIVE);
    await domains.updateDevice(running, nic('down'), AFFECT.LIVE);
    expect(await domains.xml(running)).toContain("<link state='down'/>");
    const lease = { 'ip-address': '192.168.78.9', 'mac-address': MAC, 'expiry-time': 4_000_000_000 };
    await host().exec('sh', '-c', 'printf %s "$0" >/var/lib/libvirt/dnsmasq/br-lan.status', JSON.stringify([lease]));
    expect(await domains.interfaceAddresses(running, 'lease')).toEqual([
      { name: 'vnet0', mac: MAC, addresses: [{ type: 'ipv4', address: '192.168.78.9', prefix: 24 }] },
    ]);
    // libvirt 9.0 trips over how newer kernels end their list of neighbors (src/util/virarptable.c, virArpTableGet).
    const arp = await domains.interfaceAddresses(running, 'arp').catch((error: unknown) => error);
    expect([[], expect.objectContaining({ code: ERROR_CODE.INTERNAL_ERROR })]).toContainEqual(arp);
    expect(await failure(domains.interfaceAddresses(running, 'agent'))).toMatchObject({ kind: 'libvirt' }); // there is none
    await domains.detachDeviceAlias(running, 'ua-nic', AFFECT.LIVE);
    await eventually('the end of the NIC', () => seen.includes('device-removed ua-nic'), { timeoutMs: 20_000 });

    await domains.setAutostart(running, true);
    expect(await host().virsh('dominfo', 'devices')).toMatch(/Autostart: +enable/);
    await domains.destroy(running);
    await domains.undefine(running);
  });
});

describe('a domain’s snapshots', () => {
  it('have names', async () => {
    const { domains } = await open('test:///default');
    const domain = await domains.lookupByName('test');
    expect(await domains.snapshotNames(domain)).toEqual([]);
    for (const name of ['one', 'two']) {
      await host().exec('virsh', '-c', 'test+unix:///default', 'snapshot-create-as', 'test', name);
    }
    expect((await domains.snapshotNames(domain)).toSorted()).toEqual(['one', 'two']);
  });
});

describe('a CPU', () => {
  const cpu = (model: string) => `<cpu match='exact' mode='custom'><model fallback='forbid'>${model}</model></cpu>`;
  const query = { arch: 'x86_64', virtType: 'qemu', machine: 'q35', emulator: '/usr/bin/qemu-system-x86_64' };

  it('is compared with the host’s and with the hypervisor’s', async () => {
    const connection = await open();
    const host64 = /<cpu>\s*<arch>x86_64<\/arch>.*?<\/cpu>/s.exec(await connection.capabilities())?.[0];
    expect(await connection.compareCpu(host64!)).toBe('identical'); // this host has one
    expect(await connection.compareCpu(cpu('qemu64'))).toMatch(/^(superset|incompatible)$/);
    expect(await connection.compareHypervisorCpu({ ...query, xml: cpu('qemu64') })).toBe('superset');
    expect(await connection.compareHypervisorCpu({ ...query, xml: cpu('Cooperlake') })).toBe('incompatible');
    const refused = connection.compareHypervisorCpu({ ...query, xml: cpu('Cooperlake') }, COMPARE_CPU.FAIL_INCOMPATIBLE);
    expect(await failure(refused)).toMatchObject({ code: ERROR_CODE.CPU_INCOMPATIBLE });
  });
});
