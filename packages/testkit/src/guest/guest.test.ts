import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import type { TestHost } from '../libvirt-host.ts';
import { startLibvirtHosts, type LibvirtHosts } from '../libvirt-hosts.ts';
import { testRun } from '../run.ts';
import { bootImage } from './boot-image.ts';
import { guestCache } from './cache.ts';
import { fileOfPackage } from './debian-package.ts';
import { AGENT_CHANNEL, guestExec, guestReady } from './exec.ts';
import { agentGuest, GUEST_UP } from './guest.ts';
import { guestXml, type BootSource, type GuestXmlOptions } from './xml.ts';

/** The hosts' addresses are reserved: dnsmasq takes three seconds to find out whether any other is free. */
const NETWORK = `\
<network>
  <name>nat</name>
  <forward mode='nat'/>
  <bridge name='virbr0' stp='off'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp>
      <range start='192.168.122.100' end='192.168.122.200'/>
      ${[1, 2, 3].map((n) => `<host mac='52:54:00:00:00:0${n}' ip='192.168.122.1${n}'/>`).join('')}
    </dhcp>
  </ip>
</network>`;

const nic = (n: number): string => `<interface type='network'><mac address='52:54:00:00:00:0${n}'/><source network='nat'/><model type='virtio'/></interface>`;

/** q35 takes a device at run time in a port that was free at start: more of them than devices. */
const PORTS = `<controller type='pci' index='0' model='pcie-root'/>${`<controller type='pci' model='pcie-root-port'/>`.repeat(8)}`;

describe.runIf(process.getuid?.() === 0)('guests', () => {
  let all: LibvirtHosts;
  let host: TestHost;
  let dir: string;

  beforeAll(async () => {
    dir = (await testRun()).makeDirectory('guests');
    all = await startLibvirtHosts(1);
    [host] = all.hosts as [TestHost]; // one was asked for
    writeFileSync(join(dir, 'network.xml'), NETWORK);
    await host.virsh('net-create', join(dir, 'network.xml'));
  });
  afterAll(() => all.stop());

  /** Starts a guest and returns a function that reads its console. */
  async function start(source: BootSource, options: GuestXmlOptions): Promise<() => string> {
    const log = join(dir, `${options.name}.log`);
    const xml = join(dir, `${options.name}.xml`);
    writeFileSync(xml, guestXml(source, { serialLog: log, ...options }));
    await host.virsh('create', xml);
    const console = (): string => readFileSync(log, 'utf8');
    await eventually(`${options.name} to boot`, () => console().includes(GUEST_UP), { timeoutMs: 40_000 });
    return console;
  }

  const prints = (console: () => string, line: string): Promise<boolean> =>
    eventually(`the guest to print ${line}`, () => console().split(/\r?\n/).some((printed) => printed.endsWith(line)), { timeoutMs: 20_000 });

  /** meta-data and user-data in a folder of their own. */
  function writeSeed(name: string, metaData: string, userData: string): string[] {
    mkdirSync(join(dir, name));
    return Object.entries({ 'meta-data': metaData, 'user-data': userData }).map(([file, text]) => {
      writeFileSync(join(dir, name, file), text);
      return join(dir, name, file);
    });
  }

  describe('the one with an agent', () => {
    let console: () => string;
    const run = (command: string): Promise<string> => guestExec(host, 'agent', command);

    beforeAll(async () => {
      const files = writeSeed(
        'program',
        "instance-id: one\nlocal-hostname: 'web-1'\npublic-keys:\n  - ssh-ed25519 AAAA first\n  - ssh-ed25519 BBBB second\nother: [1]\n",
        '#!/bin/sh\necho hello from $(hostname)\nexit 3\n',
      );
      const seed = join(dir, 'seed.iso');
      execFileSync('genisoimage', ['-quiet', '-output', seed, '-volid', 'cidata', '-joliet', '-rock', ...files]);
      const cd = `<controller type='scsi' model='virtio-scsi'/><disk type='file' device='cdrom'><source file='${seed}'/><target dev='sda' bus='scsi'/></disk>`;
      console = await start(await agentGuest(), { name: 'agent', devices: [nic(1), cd, AGENT_CHANNEL, PORTS].join(''), cmdline: 'nova.dirty=16', memoryMiB: 128 });
      await guestReady(host, 'agent');
    });
    afterAll(() => host.virsh('destroy', 'agent'));

    test('takes name, keys and program from its seed', async () => {
      expect(await prints(console, 'NOVA-HOSTNAME web-1')).toBe(true);
      expect(await prints(console, 'hello from web-1')).toBe(true);
      expect(await prints(console, 'NOVA-USER-DATA 3')).toBe(true);
      expect(await run('hostname; cat /root/.ssh/authorized_keys')).toBe('web-1\nssh-ed25519 AAAA first\nssh-ed25519 BBBB second');
    });

    test('gets addresses for its NIC and for one that is plugged in later, even twice', async () => {
      expect(await prints(console, 'NOVA-IP eth0 192.168.122.11')).toBe(true);
      writeFileSync(join(dir, 'nic.xml'), nic(2));
      for (const times of [1, 2]) {
        await host.virsh('attach-device', 'agent', join(dir, 'nic.xml'));
        const leases = (): boolean => console().split('NOVA-IP eth1 192.168.122.12').length > times;
        expect(await eventually('a lease for the second NIC', leases)).toBe(true);
        expect(await run('ping -c 1 -W 2 192.168.122.1')).toContain('1 packets received');
        await host.virsh('detach-device', 'agent', join(dir, 'nic.xml'));
        await eventually('the end of the second NIC', async () => (await run('ls /sys/class/net /run')).match(/eth1/) === null, { timeoutMs: 40_000 });
      }
    });

    test('tells what a command prints, why it fails, and that it does not end', async () => {
      expect(await run('echo "it\'s"; echo \'<&> "two"\'')).toBe('it\'s\n<&> "two"');
      await expect(run('echo reason >&2; exit 4')).rejects.toThrow('"echo reason >&2; exit 4" exited with 4 in agent: reason');
      await expect(run('kill -9 $$')).rejects.toThrow('"kill -9 $$" was ended by signal 9 in agent');
      await expect(guestExec(host, 'agent', 'sleep 100', { timeoutMs: 300 })).rejects.toThrow('Waited 300 ms for "sleep 100" to end in agent');
      await expect(guestReady(host, 'nobody', { timeoutMs: 100 })).rejects.toThrow('Waited 100 ms for the guest agent of nobody');
    });

    test('rewrites its memory', async () => {
      expect(await prints(console, 'NOVA-DIRTY 16')).toBe(true);
      const look = (): Promise<string> => run('md5sum </run/dirty/memory; stat -c %s /run/dirty/memory');
      const first = await look();
      expect(first).toMatch(new RegExp(`\\n${16 * 2 ** 20}$`));
      expect(await eventually('other content', async () => (await look()) !== first)).toBe(true);
    });
  });

  describe('the disk image', () => {
    test('is what is said of it, and found again', async () => {
      const image = await bootImage();
      const info: unknown = JSON.parse(execFileSync('qemu-img', ['info', '--output=json', image.path], { encoding: 'utf8' }));
      expect(info).toMatchObject({ format: 'qcow2', 'virtual-size': image.virtualSize });
      expect(execFileSync('sha256sum', [image.path], { encoding: 'utf8' })).toContain(image.sha256);
      expect(readFileSync(image.path)).toHaveLength(image.size);
      expect(await bootImage()).toEqual(image);
    });

    test('boots, with #cloud-config from a FAT disk', async () => {
      const files = writeSeed(
        'config',
        'local-hostname: web-2\n',
        '#cloud-config\nhostname: "db-1"\nssh_authorized_keys:\n- "ssh-ed25519 CCCC third"\npackages:\n  - nginx\n',
      );
      const seed = join(dir, 'seed.img');
      const mtools = dirname(await fileOfPackage('/usr/bin/mtools', 'mtools', guestCache()));
      execFileSync(join(mtools, 'mformat'), ['-C', '-i', seed, '-v', 'CIDATA', '-f', '1440', '::']);
      execFileSync(join(mtools, 'mcopy'), ['-i', seed, ...files, '::/']);
      const disk = join(dir, 'disk.qcow2');
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', (await bootImage()).path, disk]);
      const seedDisk = `<disk type='file' device='disk'><source file='${seed}'/><target dev='vdb' bus='virtio'/><readonly/></disk>`;
      const console = await start({ disk }, { name: 'image', devices: [nic(3), seedDisk, AGENT_CHANNEL].join('') });
      await guestReady(host, 'image');
      expect(await guestExec(host, 'image', 'hostname; cat /root/.ssh/authorized_keys')).toBe('db-1\nssh-ed25519 CCCC third');
      expect(await prints(console, 'NOVA-IP eth0 192.168.122.13')).toBe(true);
      expect(console()).toContain('NOVA-SEED-IGNORES packages');
      await host.virsh('shutdown', 'image', '--mode', 'agent');
      const isOff = async (): Promise<boolean> => !(await host.virsh('list', '--name')).includes('image');
      expect(await eventually('the guest to power off', isOff)).toBe(true);
    });
  });
});
