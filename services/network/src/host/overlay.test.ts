import { describe, expect, it } from 'vitest';
import { guardsOf, readTunnel, tunnelChanges, tunnelRemoval, type Tunnel, type TunnelDevice } from './overlay.ts';

const ID = '01900000-0000-7000-8000-0000000b22d2';
const [DEVICE, BRIDGE] = ['vx-000000b22d2', 'nc-000000b22d2'];
const wanted: Tunnel = { networkId: ID, vni: 77, local: '10.77.0.1', peers: ['10.77.0.2', '10.77.0.3'], gateway: '10.9.0.1' };
const asWanted: TunnelDevice = { vni: 77, local: '10.77.0.1', port: 4789, master: BRIDGE, isUp: true, peers: ['10.77.0.3', '10.77.0.2'], guards: guardsOf(ID, '10.9.0.1') };
const lines = (present: TunnelDevice | null): string[] => tunnelChanges(present, wanted).map((command) => command.join(' '));

const ADD = `ip link add ${DEVICE} mtu 1450 type vxlan id 77 local 10.77.0.1 dstport 4789`;
const UP = `ip link set ${DEVICE} master ${BRIDGE} up`;
const entry = (verb: string, peer: string): string => `bridge fdb ${verb} 00:00:00:00:00:00 dev ${DEVICE} dst ${peer}`;
const guard = (verb: string, line: string): string => `ebtables -t filter ${verb} INPUT ${line}`;
const [dhcp = '', arp = ''] = guardsOf(ID, '10.9.0.1');

describe('the tunnel of an overlay', () => {
  it.each<[string, TunnelDevice | null, string[]]>([
    ['is there as wanted', asWanted, []],
    ['is not there', null, [ADD, guard('-A', dhcp), guard('-A', arp), UP, entry('append', '10.77.0.2'), entry('append', '10.77.0.3')]],
    ['is another one', { ...asWanted, vni: 78 }, [`ip link delete ${DEVICE}`, ADD, UP, entry('append', '10.77.0.2'), entry('append', '10.77.0.3')]],
    ['ends elsewhere', { ...asWanted, local: '10.77.0.9' }, [`ip link delete ${DEVICE}`, ADD, UP, entry('append', '10.77.0.2'), entry('append', '10.77.0.3')]],
    ['is on no bridge', { ...asWanted, master: null }, [UP]],
    ['is down', { ...asWanted, isUp: false }, [UP]],
    ['lacks a host', { ...asWanted, peers: ['10.77.0.2'] }, [entry('append', '10.77.0.3')]],
    ['has a host that went', { ...asWanted, peers: ['10.77.0.2', '10.77.0.3', '10.77.0.4'] }, [entry('del', '10.77.0.4')]],
    ['is not guarded', { ...asWanted, guards: [dhcp] }, [guard('-A', arp)]],
    ['is guarded as it was before', { ...asWanted, guards: [dhcp, arp, 'old line'] }, [guard('-D', 'old line')]],
  ])('%s', (_what, present, expected) => {
    expect(lines(present)).toEqual(expected);
  });

  it('is removed with its guards', () => {
    expect(tunnelRemoval(ID, asWanted, asWanted.guards).map((command) => command.join(' '))).toEqual([`ip link delete ${DEVICE}`, guard('-D', dhcp), guard('-D', arp)]);
    expect(tunnelRemoval(ID, null, [])).toEqual([]);
  });

  it('is read from what iproute2 and ebtables print', () => {
    const links = JSON.stringify([
      { ifname: 'vx-other', linkinfo: { info_data: { id: 1 } } },
      { ifname: DEVICE, flags: ['BROADCAST', 'UP'], master: BRIDGE, linkinfo: { info_kind: 'vxlan', info_data: { id: 77, local: '10.77.0.1', port: 4789 } } },
    ]);
    const entries = JSON.stringify([{ mac: '2e:2f:3d:3e:8b:5b', master: BRIDGE }, { mac: '00:00:00:00:00:00', dst: '10.77.0.3' }, { mac: '00:00:00:00:00:00', dst: '10.77.0.2' }]);
    const chain = `Bridge table: filter\n\nBridge chain: INPUT, entries: 3, policy: ACCEPT\n${dhcp}\n-p ARP -i vx-other --arp-ip-dst 10.9.0.1 -j DROP\n${arp}\n`;
    expect(readTunnel(ID, links, entries, chain)).toEqual(asWanted);
    expect(readTunnel(ID, '[]', '[]', chain)).toBeNull();
    expect(readTunnel(ID, '', '', '')).toBeNull();
  });
});
