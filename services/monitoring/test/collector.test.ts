import { startAgent, type AgentProcess } from '@novacron/agent';
import { DOMAIN_METADATA_URI, domainName, HOST_METRICS_CHANNEL, VM_METRICS_CHANNEL, type HostSample, type VmSample } from '@novacron/contracts';
import { newId, type HostId, type TenantId, type VmId } from '@novacron/core';
import { connect } from '@novacron/libvirt';
import { eventually, guest, guestXml, startLibvirtHosts, type LibvirtHosts, type TestHost } from '@novacron/testkit';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HostSampler } from '../src/host-sampler.ts';
import { as, fieldOf, startMonitoring, type TestMonitoring } from './monitoring.ts';

const INTERVAL_MS = 200;
const hostId = newId<HostId>();
const tenantId = newId<TenantId>();
const vmId = newId<VmId>();

let hosts: LibvirtHosts;
let host: TestHost;
let monitoring: TestMonitoring;
let agent: AgentProcess | undefined;
let listener: Redis;
/** Everything that was published. */
const vms: VmSample[] = [];
const hostSamples: HostSample[] = [];

const metadata = `<metadata><nc:vm xmlns:nc="${DOMAIN_METADATA_URI}" tenant="${tenantId}"/></metadata>`;

/** A guest of ours that is measured in every way: memory by its balloon driver, a network card, a disk. */
async function ourDomain(disk: string): Promise<string> {
  const xml = guestXml(await guest(), {
    name: domainName(vmId),
    uuid: vmId,
    devices: `<interface type='ethernet'><model type='virtio'/></interface>
      <disk type='file'><driver name='qemu' type='raw'/><source file='${disk}'/><target dev='vda' bus='virtio'/></disk>`,
  });
  return xml
    .replace('</name>', `</name>${metadata}`)
    .replace("<memballoon model='virtio'/>", "<memballoon model='virtio'><stats period='1'/></memballoon>");
}

/** Waits for a sample that was published after this call. */
const nextSample = (description: string, matches: (sample: VmSample) => boolean = () => true): Promise<VmSample> => {
  const from = vms.length;
  return eventually(description, () => vms.slice(from).find(matches), { timeoutMs: 20_000 });
};

beforeAll(async () => {
  [hosts, monitoring] = await Promise.all([
    startLibvirtHosts(1),
    startMonitoring({ sampleIntervalMs: INTERVAL_MS, historyIntervalMs: 1_000 }),
  ]);
  const [first] = hosts.hosts;
  if (first === undefined) throw new Error('There is no host.');
  host = first;
  listener = monitoring.redis.duplicate({ enableOfflineQueue: true });
  listener.on('error', () => {}); // one of the tests takes Redis away
  listener.on('message', (channel: string, text: string) => {
    if (channel === VM_METRICS_CHANNEL) vms.push(...JSON.parse(text));
    else hostSamples.push(...JSON.parse(text));
  });
  await listener.subscribe(VM_METRICS_CHANNEL, HOST_METRICS_CHANNEL);
  agent = startAgent({
    databaseUrl: monitoring.databaseUrl,
    listHosts: async () => [{ id: hostId, name: host.name, uri: host.uri, migrationUri: null }],
    admit: async () => null,
    attach: [monitoring.service.attachHost],
    logger: monitoring.logger,
  });

  const disk = '/var/lib/libvirt/disk.raw';
  await host.exec('truncate', '-s', '1M', disk);
  const connection = await connect({ uri: host.uri });
  await connection.domains.start(await connection.domains.define(await ourDomain(disk)));
  // Somebody's copy: it says whose it was, but its name is not one of ours.
  await connection.domains.createXml(guestXml(await guest(), { name: 'not-ours' }).replace('</name>', `</name>${metadata}`), { paused: true });
  await connection.close();
}, 60_000);

afterAll(async () => {
  await agent?.close();
  listener?.disconnect();
  await monitoring?.close();
  await hosts?.stop();
});

describe('beside a host with guests', () => {
  it('samples our guest, once per round', async () => {
    const sample = await nextSample('a sample');
    expect(sample).toEqual({
      vmId,
      tenantId,
      hostId,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      cpu: expect.any(Number),
      memoryUsed: sample.memoryUsed,
      memoryTotal: 96 * 2 ** 20,
      diskReadBytesPerSecond: expect.any(Number),
      diskWriteBytesPerSecond: 0,
      netReceiveBytesPerSecond: expect.any(Number),
      netTransmitBytesPerSecond: expect.any(Number),
    });
    expect(new Set(vms.map(({ at }) => at)).size).toBe(vms.length);
  });

  it('sees the guest at work while it boots, and its reads of the disk', async () => {
    await eventually('CPU in use', () => vms.some(({ cpu }) => cpu > 0.1), { timeoutMs: 20_000 });
    await eventually('reads of the partition table', () => vms.some(({ diskReadBytesPerSecond }) => diskReadBytesPerSecond > 0), { timeoutMs: 20_000 });
    expect(vms.every(({ cpu }) => cpu >= 0 && cpu <= 1)).toBe(true);
  });

  it("learns the guest's memory from its balloon driver", async () => {
    const { memoryUsed, memoryTotal } = await nextSample('memory in use', (sample) => sample.memoryUsed !== null);
    expect(memoryUsed).toBeGreaterThan(1 * 2 ** 20);
    expect(memoryUsed).toBeLessThan(memoryTotal);
  });

  it('samples the host, with every guest that runs', async () => {
    const from = hostSamples.length;
    const sample = await eventually('a sample of the host', () => hostSamples.slice(from).at(0));
    expect(sample).toMatchObject({ hostId, vmsRunning: 1 }); // the other is paused
    expect(sample.cpu).toBeGreaterThanOrEqual(0);
    expect(sample.cpu).toBeLessThanOrEqual(1);
    expect(sample.memoryUsed).toBeLessThan(sample.memoryTotal);
    await host.virsh('resume', 'not-ours');
    await eventually('a second running guest', () => hostSamples.at(-1)?.vmsRunning === 2);
    await host.virsh('destroy', 'not-ours');
    await eventually('one running guest', () => hostSamples.at(-1)?.vmsRunning === 1);
  });

  it('never samples what is not ours', () => {
    expect(new Set(vms.map((sample) => sample.vmId))).toEqual(new Set([vmId]));
  });

  it('answers in the graph, now and over time', async () => {
    const from = new Date(Date.now() - 60_000).toISOString();
    await eventually('rows of history', async () => {
      const answer = await monitoring.entities(as('viewer', tenantId), 'Vm', [vmId], `metrics { cpu vm { id } } metricsHistory(from: "${from}") { memoryTotal }`);
      expect(answer.errors).toBeUndefined();
      expect(fieldOf(answer, 'metrics')).toEqual([{ cpu: expect.any(Number), vm: { id: vmId } }]);
      return (fieldOf(answer, 'metricsHistory')[0] as unknown[]).length > 0;
    });
    expect(fieldOf(await monitoring.entities(as('platform_admin'), 'Host', [hostId], 'metrics { vmsRunning }'), 'metrics')).toEqual([{ vmsRunning: 1 }]);
  });

  it('still samples a guest that is paused', async () => {
    await host.virsh('suspend', domainName(vmId));
    await eventually('no running guest', () => hostSamples.at(-1)?.vmsRunning === 0);
    const { cpu } = await nextSample('a guest at rest', (sample) => sample.cpu < 0.05);
    expect(cpu).toBeGreaterThanOrEqual(0); // its emulator still looks after its devices
    await host.virsh('resume', domainName(vmId));
  });

  it('forgets a guest that was stopped, and measures it anew when it is started', async () => {
    await host.virsh('destroy', domainName(vmId));
    await eventually('nothing left of the guest', async () => (await monitoring.redis.hexists('novacron.latest.vm', vmId)) === 0);
    const answer = await monitoring.entities(as('platform_admin'), 'Vm', [vmId], 'metrics { cpu }');
    expect(fieldOf(answer, 'metrics')).toEqual([null]);
    const other = newId<TenantId>(); // never so in earnest; it shows that nothing was remembered
    await host.virsh('metadata', domainName(vmId), DOMAIN_METADATA_URI, '--config', '--key', 'nc', '--set', `<vm tenant="${other}"/>`);
    await host.virsh('start', domainName(vmId));
    const { cpu, tenantId: tenant } = await nextSample('a sample of the new instance');
    expect(cpu).toBeGreaterThan(0); // it boots: the counters of the instance before would say 0
    expect(tenant).toBe(other);
  });

  it('waits while libvirtd is away, and goes on when it is back', async () => {
    await host.killDaemon('SIGKILL');
    await host.startDaemon();
    expect(await nextSample('a sample after the restart')).toMatchObject({ vmId, hostId });
  });

  it('drops samples while Redis is away, says so once, and goes on when it is back', async () => {
    const said = () => monitoring.logs.filter(({ msg }) => msg === 'samples are dropped while Redis is away').length;
    const before = said();
    monitoring.redisServer.kill();
    await eventually('the word of it', () => said() > before);
    await monitoring.redisServer.restart();
    await nextSample('a sample after the restart');
    await eventually('the latest sample to be back', async () => (await monitoring.redis.hexists('novacron.latest.vm', vmId)) === 1);
    expect(said()).toBe(before + 1);
  });

  it('has had nothing to complain of, and ends with the agent', async () => {
    await agent?.close();
    agent = undefined;
    expect(monitoring.logs.filter(({ level, msg }) => level >= 50 || /could not be (measured|kept)/.test(msg))).toEqual([]);
  });
});

describe('beside a host whose driver counts nothing', () => {
  it('has no samples, and no complaints', async () => {
    await using connection = await connect({ uri: host.uri.replace('qemu+unix:///system', 'test+unix:///default') });
    await connection.domains.createXml(`<domain type='test'><name>${domainName(vmId)}</name><uuid>${vmId}</uuid><memory>8192</memory><os><type>hvm</type></os></domain>`);
    const sampler = new HostSampler(hostId);
    for (let round = 0; round < 2; round++) expect(await sampler.take(connection)).toEqual({ vms: [], gone: [], host: null });
  });
});
