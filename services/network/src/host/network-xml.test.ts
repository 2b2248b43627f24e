import { describe, expect, it } from 'vitest';
import { cidrOf } from '../cidr.ts';
import { entriesOf, entryChanges, isSameNetwork, networkXml, type DhcpEntry, type NetworkSpec } from './network-xml.ts';

const spec: NetworkSpec = { id: '01900000-0000-7000-8000-0000000a11c1', kind: 'NAT', cidr: cidrOf('10.1.0.0/24') };
const entry = (last: number): DhcpEntry => ({ mac: `52:54:00:00:00:0${last}`, address: `10.1.0.${last}` });

describe('a network', () => {
  it('has the same name, bridge, UUID and MAC address wherever it is', () => {
    const xml = networkXml(spec, []);
    for (const part of ['<name>nc-000000a11c1</name>', "<bridge name='nc-000000a11c1'", `<uuid>${spec.id}</uuid>`, "<mac address='52:54:01:0a:11:c1'/>"]) expect(xml).toContain(part);
  });

  it.each<[string, NetworkSpec, boolean]>([
    ['as it is', spec, true],
    ['with other addresses', { ...spec, cidr: cidrOf('10.2.0.0/24') }, false],
    ['with more addresses', { ...spec, cidr: cidrOf('10.1.0.0/23') }, false],
    ['with no way out', { ...spec, kind: 'ISOLATED' }, false],
  ])('is recognised %s', (_what, wanted, expected) => {
    expect(isSameNetwork(networkXml(spec, [entry(2)]), wanted)).toBe(expected);
  });

  it('hands a smaller MTU to an overlay only', () => {
    expect(networkXml({ ...spec, kind: 'OVERLAY' }, [])).toContain("<mtu size='1450'/>");
    expect(networkXml(spec, [])).not.toContain('<mtu');
  });
});

describe('static entries', () => {
  it('are read as they were written, with what others added', () => {
    expect(entriesOf(networkXml(spec, [entry(2), entry(3)]))).toEqual([entry(2), entry(3)]);
    expect(entriesOf("<host mac='52:54:00:00:00:04' name='web' ip='10.1.0.4'/>")).toEqual([entry(4)]);
  });

  it.each<[string, DhcpEntry[], DhcpEntry[], DhcpEntry[], DhcpEntry[]]>([
    ['stay', [entry(2)], [entry(2)], [], []],
    ['come', [], [entry(2)], [], [entry(2)]],
    ['go', [entry(2), entry(3)], [entry(3)], [entry(2)], []],
    ['change hands', [entry(2)], [{ ...entry(2), mac: entry(3).mac }], [entry(2)], [{ ...entry(2), mac: entry(3).mac }]],
  ])('%s', (_what, present, wanted, remove, add) => {
    expect(entryChanges(present, wanted)).toEqual({ remove, add });
  });
});
