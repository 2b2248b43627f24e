import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { eventually } from '@novacron/testkit';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Connection, ErrorCodeName } from '../src/index.ts';
import { AFFECT, connect, ERROR_CODE, NETWORK_SECTION, NETWORK_UPDATE, NETWORK_XML, openLink } from '../src/index.ts';
import { PROCEDURES } from '../src/procedures.ts';
import { argsOf, failure, FakeDaemon } from './fake-daemon.ts';
import { useHost } from './private-host.ts';

const host = useHost();

async function open(): Promise<Connection> {
  const connection = await connect({ uri: 'qemu:///system', socketPath: host().socketPath });
  onTestFinished(() => connection.close());
  return connection;
}

const is = (name: ErrorCodeName) => expect.objectContaining({ kind: 'libvirt', code: ERROR_CODE[name] });

/** Isolated, and without DHCP and DNS: it needs no dnsmasq. */
const networkXml = (name: string) =>
  `<network><name>${name}</name><bridge name='br-${name}'/><dns enable='no'/><ip address='192.168.77.1' netmask='255.255.255.0'/></network>`;

describe('virtual networks', () => {
  it('live as virsh sees them', async () => {
    const { networks } = await open();
    const network = await networks.define(networkXml('life'));
    expect(await networks.isActive(network)).toBe(false);
    await networks.start(network);
    expect(await networks.isActive(network)).toBe(true);
    expect(await failure(networks.start(network))).toEqual(is('OPERATION_INVALID'));
    expect(await networks.bridgeName(network)).toBe('br-life');
    await host().exec('ip', 'link', 'show', 'br-life');
    await networks.setAutostart(network, true);
    expect(await host().virsh('net-info', 'life')).toMatch(/Autostart: +yes/);
    expect(await networks.lookupByName('life')).toEqual(network);
    expect(await networks.lookupByUuid(network.uuid)).toEqual(network);
    expect(await networks.list({ active: true })).toEqual([network]);
    expect(await networks.list({ active: false })).toEqual([]);
    expect(await networks.list()).toEqual([network]);
    expect((await networks.xml(network)).trim()).toBe(await host().virsh('net-dumpxml', 'life'));

    const xml = "<portgroup name='gold' default='yes'/>";
    const gold = { command: NETWORK_UPDATE.ADD_LAST, section: NETWORK_SECTION.PORTGROUP, xml };
    await networks.update(network, { ...gold, flags: AFFECT.LIVE | AFFECT.CONFIG });
    expect(await networks.xml(network)).toContain("<portgroup name='gold' default='yes'>");
    expect(await networks.xml(network, NETWORK_XML.INACTIVE)).toContain("<portgroup name='gold' default='yes'>");
    await networks.update(network, { ...gold, command: NETWORK_UPDATE.DELETE });
    expect(await networks.xml(network)).not.toContain('portgroup');
    expect(await networks.xml(network, NETWORK_XML.INACTIVE)).toContain('portgroup');

    await networks.destroy(network);
    await networks.undefine(network);
    expect(await failure(networks.lookupByName('life'))).toEqual(is('NO_NETWORK'));
  });

  it('tell their leases', async () => {
    const { networks } = await open();
    const network = await networks.define(networkXml('leases'));
    onTestFinished(() => networks.undefine(network));
    expect(await networks.dhcpLeases(network)).toEqual([]);
    const expiry = Math.floor(Date.now() / 1_000) + 3_600;
    const mac = '52:54:00:00:00:01';
    const lease = { 'ip-address': '192.168.77.9', 'mac-address': mac, hostname: 'guest', 'expiry-time': expiry };
    // Where libvirt's helper of dnsmasq keeps them (libvirt 9.0.0 src/network/leaseshelper.c).
    await host().exec('mkdir', '-p', '/var/lib/libvirt/dnsmasq');
    const leases = join(dirname(host().socketPath), '../lib/dnsmasq/br-leases.status');
    writeFileSync(leases, JSON.stringify([lease, { ...lease, 'mac-address': '52:54:00:00:00:02' }]));
    expect(await networks.dhcpLeases(network)).toHaveLength(2);
    expect(await networks.dhcpLeases(network, mac)).toEqual([{
      interface: 'br-leases', expiresAtSeconds: expiry, type: 'ipv4', mac, iaid: null, address: '192.168.77.9',
      prefix: 24, hostname: 'guest', clientId: null,
    }]);
  });

  it('tell what happens to them, and through a link too', async () => {
    const connection = await open();
    const seen: string[] = [];
    const subscription = await connection.onNetworkEvent(({ network, event }) => seen.push(`${network.name} ${event}`));
    const linked: string[] = [];
    const link = openLink({
      uri: 'qemu:///system',
      socketPath: host().socketPath,
      listeners: { network: ({ event }) => linked.push(event) },
    });
    onTestFinished(() => link.close());
    await link.connection();
    const network = await connection.networks.define(networkXml('told'));
    await connection.networks.start(network);
    await connection.networks.destroy(network);
    await eventually('the stop', () => seen.at(-1) === 'told stopped');
    await subscription.close();
    await connection.networks.undefine(network);
    await eventually('the end', () => linked.at(-1) === 'undefined');
    expect(linked).toEqual(['defined', 'started', 'stopped', 'undefined']);
    expect(seen).toEqual(['told defined', 'told started', 'told stopped']);
  });

  it.each([[0, { command: 9, section: 3 }], [1, { command: 3, section: 9 }]])(
    'are updated in the order that the daemon knows (%i)',
    async (supported, order) => {
      const { connectSupportsFeature, networkUpdate } = PROCEDURES;
      const daemon = await FakeDaemon.start((received, client) => {
        if (received.header.procedure === networkUpdate.number) client.reply(received, networkUpdate, undefined);
        else if (received.header.procedure !== connectSupportsFeature.number) return false;
        else client.reply(received, connectSupportsFeature, { supported });
        return true;
      });
      const { networks } = await daemon.connect();
      const network = { name: 'a', uuid: '6695eb01-f6a4-8304-79aa-97f2502e193f' };
      const { ADD_LAST: command } = NETWORK_UPDATE;
      await networks.update(network, { command, section: NETWORK_SECTION.PORTGROUP, xml: '<portgroup/>' });
      const [call] = daemon.client.calls(networkUpdate);
      expect(call && argsOf(networkUpdate, call)).toMatchObject({ ...order, parentIndex: -1 });
    },
  );
});

describe('network filters', () => {
  it('live as virsh sees them', async () => {
    const { filters } = await open();
    const shipped = await filters.list();
    expect(shipped.map(({ name }) => name)).toContain('clean-traffic');
    const filter = await filters.define("<filter name='mine'><rule action='drop' direction='in'><all/></rule></filter>");
    expect(await filters.lookupByName('mine')).toEqual(filter);
    expect((await filters.xml(filter)).trim()).toBe(await host().virsh('nwfilter-dumpxml', 'mine'));
    expect(await filters.list()).toHaveLength(shipped.length + 1);
    await filters.undefine(filter);
    expect(await failure(filters.lookupByName('mine'))).toEqual(is('NO_NWFILTER'));
  });
});

describe('secrets', () => {
  it('live as virsh sees them', async () => {
    const { secrets } = await open();
    const xml = "<secret ephemeral='no' private='no'><usage type='ceph'><name>client.vms</name></usage></secret>";
    const secret = await secrets.define(xml);
    expect(secret).toMatchObject({ usageType: 2, usageId: 'client.vms' });
    const value = Buffer.from('not a word\0of text\xff', 'latin1');
    await secrets.setValue(secret, value);
    expect(await host().virsh('secret-get-value', secret.uuid)).toBe(value.toString('base64'));
    expect(await secrets.lookupByUuid(secret.uuid)).toEqual(secret);
    expect(await secrets.list()).toEqual([secret]);
    await secrets.undefine(secret);
    expect(await failure(secrets.lookupByUuid(secret.uuid))).toEqual(is('NO_SECRET'));
  });
});
