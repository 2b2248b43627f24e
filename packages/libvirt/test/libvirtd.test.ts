import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { eventually, guest, GUEST_UP, guestXml } from '@novacron/testkit';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { AgentLifecycleEvent, Connection, DomainRef, LifecycleEvent, LinkStatus } from '../src/index.ts';
import { connect, LibvirtError, openLink, XML } from '../src/index.ts';
import { useHost } from './private-host.ts';

const run = promisify(execFile);

const host = useHost();

async function open(uri: string): Promise<Connection> {
  const connection = await connect({ uri, socketPath: host().socketPath });
  onTestFinished(() => connection.close());
  return connection;
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.unreachable('this should have failed'),
    (error: unknown) => (error instanceof LibvirtError ? error.code : error),
  );

const smallXml = (name: string, uuid: string) =>
  `<domain type='test'><name>${name}</name><uuid>${uuid}</uuid><memory>65536</memory><os><type>hvm</type></os></domain>`;

describe('libvirtd with its test driver', () => {
  const UUID = 'b7c7b6f0-3b1c-4e0f-9d5f-0d6d9a1c5a01';

  /** virsh on the same driver of the same daemon; the driver's state lives as long as a connection does. */
  const virsh = async (...args: string[]): Promise<string> => {
    const uri = `test+unix:///default?socket=${host().socketPath}`;
    return (await run('virsh', ['-q', '-c', uri, ...args])).stdout.trim();
  };

  it('tells about itself what it tells virsh', async () => {
    const connection = await open('test:///default');
    const { major, minor, release } = await connection.libVersion();
    expect(await virsh('version', '--daemon')).toContain(`Running against daemon: ${major}.${minor}.${release}`);
    expect(await connection.type()).toBe('TEST');
    expect(await connection.uri()).toBe('test:///default');
    expect(await connection.hostname()).toBe(host().name);
    expect((await connection.capabilities()).trim()).toBe(await virsh('capabilities'));
    const info = await connection.node.info();
    expect(await virsh('nodeinfo')).toContain(`${info.memoryKiB} KiB`);
    expect(info).toMatchObject({ model: 'i686', cpus: 16, mhz: 1400, nodes: 2, sockets: 2, cores: 2, threads: 2 });
  });

  it('takes a domain through its life', async () => {
    const connection = await open('test:///default');
    const { domains } = connection;
    const events: string[] = [];
    await connection.onDomainEvent('lifecycle', (e) => {
      if (e.domain.name === 'life') events.push(`${e.event}/${e.detail}`);
    });
    const state = async (domain: DomainRef) => `${(await domains.state(domain)).state}, ${await virsh('domstate', 'life')}`;

    const defined = await domains.define(smallXml('life', UUID));
    expect(defined).toEqual({ name: 'life', uuid: UUID, id: -1 });
    expect(await state(defined)).toBe('shutoff, shut off');
    const running = await domains.start(defined);
    expect(running.id).toBeGreaterThan(0);
    expect(await state(running)).toBe('running, running');
    expect(await domains.info(running)).toMatchObject({ state: 'running', maxMemoryKiB: 65536, memoryKiB: 65536, vcpus: 1 });
    await domains.suspend(running);
    expect(await domains.state(running)).toEqual({ state: 'paused', reason: 'user', reasonCode: 1 });
    await domains.resume(running);
    expect(await domains.lookupByName('life')).toEqual(running);
    expect(await domains.lookupByUuid(UUID.toUpperCase())).toEqual(running);
    expect((await domains.xml(running)).trim()).toBe(await virsh('dumpxml', 'life'));
    expect((await domains.xml(running, XML.INACTIVE)).trim()).toBe(await virsh('dumpxml', '--inactive', 'life'));
    await domains.shutdown(running);
    expect(await domains.state(running)).toMatchObject({ state: 'shutoff', reason: 'shutdown' });
    await domains.destroy(await domains.start(defined));
    await domains.undefine(defined);
    expect(await codeOf(domains.lookupByUuid(UUID))).toBe(42);
    await eventually('all events', () => events.at(-1) === 'undefined/removed');
    expect(events).toEqual([
      'defined/added', 'started/booted', 'suspended/paused', 'resumed/unpaused', 'stopped/shutdown',
      'started/booted', 'stopped/destroyed', 'undefined/removed',
    ]);
  });

  it('lists as virsh lists, by filter', async () => {
    const { domains } = await open('test:///default');
    for (let i = 0; i < 300; i++) {
      await domains.define(smallXml(`many-${i}`, `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`));
    }
    const names = async (...args: string[]) => (await virsh('list', '--name', ...args)).split('\n').toSorted();
    const ours = (list: DomainRef[]) => list.map(({ name }) => name).toSorted();
    expect(ours(await domains.list())).toEqual(await names('--all'));
    expect(ours(await domains.list({ active: false }))).toEqual(await names('--inactive'));
    expect(ours(await domains.list({ active: true }))).toEqual(await names());
    const transient = await domains.createXml(smallXml('transient', UUID));
    expect(await domains.list({ persistent: false })).toEqual([transient]);
    expect(await domains.stats(await domains.list({ active: true }), ['state'])).toContainEqual({
      domain: transient,
      params: { 'state.state': 1, 'state.reason': 1 },
    });
  });

  it('keeps metadata', async () => {
    const { domains } = await open('test:///default');
    const domain = await domains.lookupByName('test');
    const slot = { type: 'element', uri: 'https://example.org/ns', key: 'ex' } as const;
    expect(await codeOf(domains.metadata(domain, slot))).toBe(80);
    await domains.setMetadata(domain, slot, '<owner>Grace</owner>');
    expect(await domains.metadata(domain, slot)).toContain('<owner>Grace</owner>');
    await domains.setMetadata(domain, { type: 'title' }, 'A title');
    expect(await virsh('desc', '--title', 'test')).toBe('A title');
    await domains.setMetadata(domain, slot, null);
    expect(await codeOf(domains.metadata(domain, slot))).toBe(80);
  });

  it('answers a thousand calls at once', async () => {
    const connection = await open('test:///default');
    const versions = await Promise.all(Array.from({ length: 1_000 }, () => connection.libVersion()));
    expect(new Set(versions.map(({ major }) => major)).size).toBe(1);
  });

  it('says no in a way that code can tell', async () => {
    const connection = await open('test:///default');
    expect(await codeOf(connection.domains.define('<pool/>'))).toBe(27);
    expect(await codeOf(connection.domains.lookupByName('nobody'))).toBe(42);
    expect(await codeOf(connect({ uri: 'nosuchdriver:///', socketPath: host().socketPath }))).toBe(5);
  });
});

describe('libvirtd with QEMU', () => {
  const system = 'qemu:///system';

  it('knows its host', async () => {
    const connection = await open(system);
    const { memoryKiB, model } = await connection.node.info();
    const nodeinfo = await host().virsh('nodeinfo');
    expect(nodeinfo).toContain(`${memoryKiB} KiB`);
    expect(nodeinfo).toContain(model);
    const { total } = await connection.node.memoryStats();
    expect(await host().virsh('nodememstats')).toMatch(new RegExp(`total *: *${total} KiB`));
    expect(await connection.node.freeMemory()).toBeGreaterThan(0);
    expect((await connection.node.cpuStats())['idle']).toBeGreaterThan(0n);
    expect(Object.keys(await connection.node.cpuStats(0)).toSorted()).toEqual(['idle', 'iowait', 'kernel', 'user']);
    expect(await connection.capabilities()).toContain(`<uuid>${host().uuid}</uuid>`);
    expect(await connection.domainCapabilities({ arch: 'x86_64', virtType: 'qemu' })).toContain('<domain>qemu</domain>');
    const { major, minor, release } = await connection.version();
    expect(await host().virsh('version')).toContain(`Running hypervisor: QEMU ${major}.${minor}.${release}`);
  });

  it('runs a guest: console, statistics, pause, the guest’s own end', async () => {
    const connection = await open(system);
    const consoles = await open(system);
    const events: LifecycleEvent[] = [];
    await connection.onDomainEvent('lifecycle', (event) => events.push(event));
    const { domains } = connection;
    const xml = guestXml(await guest(), { name: 'guest' });
    const defined = await domains.define(xml);
    const running = await domains.start(defined, { paused: true });
    const console = await consoles.domains.openConsole(running);
    let said = '';
    console.on('data', (chunk: Buffer) => (said += chunk.toString()));
    expect(await domains.state(running)).toMatchObject({ state: 'paused' });
    await domains.suspend(running); // QEMU's driver does not mind
    await domains.resume(running);
    expect(await codeOf(domains.start(running))).toBe(55);
    await eventually('the guest', () => said.includes(GUEST_UP), { timeoutMs: 30_000 });
    const [stats] = await domains.stats([running], ['state', 'cpu', 'balloon']);
    expect(stats?.params).toMatchObject({ 'state.state': 1, 'balloon.maximum': 98304n });
    expect(stats?.params['cpu.time']).toBeGreaterThan(0n);

    await domains.shutdown(running, { mode: 'acpi' });
    console.write('poweroff -f\r');
    await eventually('the guest to power off', async () => (await domains.state(defined)).state === 'shutoff');
    await eventually('the console’s end', () => console.closed);
    await eventually('the last event', () => events.at(-1)?.event === 'stopped');
    expect(events.map(({ event, detail }) => `${event}/${detail}`)).toEqual(
      expect.arrayContaining(['defined/added', 'started/booted', 'resumed/unpaused', 'shutdown/guest', 'stopped/shutdown']),
    );
    expect(await codeOf(domains.shutdown(running))).toBe(55);
    expect(await codeOf(domains.openConsole(defined))).toBe(55);
    await domains.undefine(defined);
  });

  it('tells of a guest that reset, rebooted, or whose process was killed', async () => {
    const connection = await open(system);
    const seen: string[] = [];
    await connection.onDomainEvent('lifecycle', ({ event, detail }) => seen.push(`${event}/${detail}`));
    await connection.onDomainEvent('reboot', ({ domain }) => seen.push(`reboot of ${domain.name}`));
    const agents: AgentLifecycleEvent[] = [];
    await connection.onDomainEvent('agent-lifecycle', (event) => agents.push(event));
    const running = await connection.domains.createXml(guestXml(await guest(), { name: 'victim' }));
    await connection.domains.reset(running);
    await eventually('the reset', () => seen.includes('reboot of victim'));
    const [pid] = host().qemuPids();
    process.kill(pid!, 'SIGKILL'); // the guest runs
    await eventually('the end', () => seen.includes('stopped/failed') || seen.includes('stopped/crashed'));
    await eventually('nothing left', async () => (await connection.domains.list()).every(({ name }) => name !== 'victim'));
    expect(await codeOf(connection.domains.state(running))).toBe(42);
    expect(agents).toEqual([]); // no agent in this guest
  });

  it('may stop and come back under a link', async () => {
    const statuses: LinkStatus[] = [];
    const seen: string[] = [];
    const link = openLink({
      uri: system,
      socketPath: host().socketPath,
      backoff: { initialMs: 50, maxMs: 200 },
      listeners: { lifecycle: ({ event }) => seen.push(event) },
      onStatus: (status) => statuses.push(status),
    });
    onTestFinished(() => link.close());
    const before = await link.connection();
    const xml = guestXml(await guest(), { name: 'survivor' });
    const running = await before.domains.createXml(xml);
    await host().killDaemon('SIGKILL');
    expect((await before.closed).kind).toMatch(/^(ended|socket)$/);
    await host().startDaemon();
    const after = await link.connection();
    expect(await after.domains.state(running)).toMatchObject({ state: 'running' });
    // Waits for libvirt's own reconnection to the guest; a destroy in its midst would be answered with NO_DOMAIN.
    await after.domains.suspend(running);
    await eventually('an event by the new connection', () => seen.at(-1) === 'suspended');
    await after.domains.destroy(running);
    await eventually('its end', () => seen.at(-1) === 'stopped');
    const stood = statuses.map(({ state }) => state).filter((state) => state === 'connected' || state === 'lost');
    expect(stood).toEqual(['connected', 'lost', 'connected']);
  });
});
