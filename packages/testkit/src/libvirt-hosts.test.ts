import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePki } from '@novacron/local';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { guest, GUEST_POWER_BUTTON, GUEST_UP } from './guest/guest.ts';
import { guestXml, type GuestXmlOptions } from './guest/xml.ts';
import type { TestHost } from './libvirt-host.ts';
import { startLibvirtHosts, type LibvirtHosts } from './libvirt-hosts.ts';
import { testRun } from './run.ts';

const isRoot = process.getuid?.() === 0;

/** Starts a guest and returns a function that reads its console. */
async function startGuest(host: TestHost, options: GuestXmlOptions): Promise<() => string> {
  const dir = (await testRun()).makeDirectory('guests');
  const log = join(dir, `${options.name}.log`);
  const xml = join(dir, `${options.name}.xml`);
  writeFileSync(xml, guestXml(await guest(), { serialLog: log, ...options }));
  await host.virsh('create', xml);
  const console = (): string => readFileSync(log, 'utf8');
  await eventually(`${options.name} to boot`, () => console().includes(GUEST_UP), { timeoutMs: 40_000 });
  return console;
}

describe.runIf(isRoot)('libvirt hosts', () => {
  let all: LibvirtHosts;
  let one: TestHost;
  let two: TestHost;

  beforeAll(async () => {
    all = await startLibvirtHosts(2);
    [one, two] = all.hosts as [TestHost, TestHost]; // two were asked for
  });
  afterAll(() => all.stop());

  const isGone = async (host: TestHost, name: string): Promise<boolean> => !(await host.virsh('list', '--name')).split('\n').includes(name);

  test('are different machines to libvirt, without KVM', async () => {
    expect(await one.virsh('capabilities')).toContain(`<uuid>${one.uuid}</uuid>`);
    expect(await two.virsh('hostname')).toBe('hv2');
    expect(one.uuid).not.toBe(two.uuid);
    expect(await one.virsh('capabilities')).not.toContain("domain type='kvm'");
    expect(await one.exec('hostname')).toBe('hv1');
  });

  test('a guest boots, and its power button works', async () => {
    const console = await startGuest(one, { name: 'button' });
    expect(one.qemuPids()).toHaveLength(1);
    // Pressed again and again: a guest that still boots may miss it.
    const pressed = async (): Promise<boolean> => {
      if (await isGone(one, 'button')) return true;
      await one.virsh('shutdown', 'button');
      return false;
    };
    await eventually('the guest to power off', pressed, { intervalMs: 1_000 });
    expect(console()).toContain(GUEST_POWER_BUTTON);
  });

  test('a guest powers itself off, or panics, when its command line says so', async () => {
    await startGuest(one, { name: 'tired', cmdline: 'nova.poweroff=1' });
    expect(await eventually('the guest to power off', () => isGone(one, 'tired'))).toBe(true);
    const console = await startGuest(one, { name: 'sick', cmdline: 'nova.panic' });
    expect(await eventually('its kernel to panic', () => console().includes('Kernel panic'))).toBe(true);
    await one.virsh('destroy', 'sick').catch(() => undefined); // pvpanic may have been quicker
  });

  test('a guest migrates live from one to the other', async () => {
    await startGuest(one, { name: 'traveller' });
    await one.virsh('migrate', '--live', '--p2p', 'traveller', `qemu+tcp://${two.address}/system`);
    expect(await two.virsh('domstate', 'traveller')).toBe('running');
    await eventually('the end of the source', () => one.qemuPids().length === 0);
    await two.virsh('destroy', 'traveller');
  });

  test('guests outlive their libvirtd', async () => {
    await startGuest(one, { name: 'survivor' });
    const pids = one.qemuPids();
    await one.killDaemon('SIGKILL');
    await expect(one.virsh('list')).rejects.toThrow('failed to connect to the hypervisor');
    expect(one.qemuPids()).toEqual(pids);
    await one.startDaemon();
    expect(await one.virsh('domstate', 'survivor')).toBe('running');
    await one.virsh('destroy', 'survivor');
  });

  test('a power cut takes everything of one host and nothing of the other', async () => {
    await startGuest(two, { name: 'lost' });
    const [pid] = two.qemuPids();
    await two.stop();
    await two.stop(); // once more changes nothing
    expect(two.qemuPids()).toEqual([]);
    await eventually('the end of its guest', () => !readCommand(pid).includes('qemu'));
    expect(await one.virsh('hostname')).toBe('hv1');
  });
});

describe.runIf(isRoot)('libvirt hosts with TLS', () => {
  let all: LibvirtHosts;
  let one: TestHost;
  let two: TestHost;

  beforeAll(async () => {
    all = await startLibvirtHosts(2, { tls: true });
    [one, two] = all.hosts as [TestHost, TestHost]; // two were asked for
  });
  afterAll(() => all?.stop());

  const migrate = (uri: string): Promise<string> => one.virsh('migrate', '--live', '--p2p', '--tls', 'traveller', uri);

  test('a guest migrates by name and by address, encrypted', async () => {
    await startGuest(one, { name: 'traveller' });
    await migrate('qemu+tls://hv2/system');
    expect(await two.virsh('domstate', 'traveller')).toBe('running');
    await two.virsh('migrate', '--live', '--p2p', '--tls', 'traveller', `qemu+tls://${one.address}/system`);
    expect(await one.virsh('domstate', 'traveller')).toBe('running');
  });

  test('neither libvirt nor QEMU talks to a host of another authority', async () => {
    const dir = (await testRun()).makeDirectory('foreign');
    const { hosts } = await makePki(dir, [{ name: two.name, addresses: [two.address] }]);
    const foreign = hosts[0]!.directory; // one was asked for
    await two.exec('cp', '-r', join(foreign, 'qemu'), '/etc/pki/');
    await expect(migrate('qemu+tls://hv2/system')).rejects.toThrow(/certificate/i);
    await two.exec('cp', '-r', join(foreign, 'libvirt'), join(foreign, 'CA'), '/etc/pki/');
    await two.killDaemon();
    await two.startDaemon();
    await expect(migrate('qemu+tls://hv2/system')).rejects.toThrow(/certificate/i);
    expect(await one.virsh('domstate', 'traveller')).toBe('running');
    await one.virsh('destroy', 'traveller');
  });
});

function readCommand(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
