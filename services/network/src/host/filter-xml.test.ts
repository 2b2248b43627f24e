import { expect, it } from 'vitest';
import type { CheckedRule } from '../rules.ts';
import { antiSpoofXml, groupFilterXml, nicFilterXml } from './filter-xml.ts';

const GROUP = '01900000-0000-7000-8000-00000000000a';
const NIC = '01900000-0000-7000-8000-00000000000b';
const rule = (more: Partial<CheckedRule>): CheckedRule => ({ direction: 'INGRESS', protocol: 'TCP', portFrom: null, portTo: null, cidr: null, ...more });

it.each([
  [rule({}), "direction='in' priority='500'><tcp/>"],
  [rule({ portFrom: 80, portTo: 81 }), "direction='in' priority='500'><tcp dstportstart='80' dstportend='81'/>"],
  [rule({ direction: 'EGRESS', protocol: 'UDP', portFrom: 53, portTo: 53, cidr: '10.1.0.0/24' }), "direction='out' priority='500'><udp dstipaddr='10.1.0.0' dstipmask='24' dstportstart='53' dstportend='53'/>"],
  [rule({ protocol: 'ICMP', cidr: '10.1.0.5/32' }), "direction='in' priority='500'><icmp srcipaddr='10.1.0.5' srcipmask='32'/>"],
  [rule({ protocol: 'ANY', cidr: '0.0.0.0/0' }), "direction='in' priority='500'><all/>"],
])('%o', (input, expected) => {
  expect(groupFilterXml(GROUP, [input])).toContain(`<rule action='accept' ${expected}</rule>`);
});

it('keeps the names and UUIDs of filters: they are redefined, not made beside each other', () => {
  expect(groupFilterXml(GROUP, [])).toContain(`<filter name='nc-sg-${GROUP}' chain='root'>\n  <uuid>${GROUP}</uuid>`);
  expect(nicFilterXml(NIC, [])).toContain(`<filter name='nc-nic-${NIC}' chain='root'>\n  <uuid>${NIC}</uuid>`);
  expect(antiSpoofXml()).toContain("<filter name='nc-anti-spoof' chain='root'>");
});

it('lets through everything but what is spoofed without a group, and with one nothing but what it names', () => {
  expect(nicFilterXml(NIC, [])).not.toContain('<rule');
  const grouped = nicFilterXml(NIC, [GROUP]);
  expect(grouped).toMatch(/filterref filter='nc-anti-spoof'[\s\S]*filterref filter='nc-sg-/);
  expect(grouped).toContain("<rule action='drop' direction='inout' priority='1000'><all/></rule>");
});

it('drops what a guest sends to the tunnels of overlays before other packets are let through', () => {
  const rules = [...antiSpoofXml().matchAll(/<rule action='(\w+)' direction='(\w+)' priority='(-\d+)'>(.*?)<\/rule>/g)].map(([, action, , priority, match]) => ({ action, priority: Number(priority), match }));
  const drop = rules.find(({ match }) => match?.includes("dstportstart='4789' dstportend='4789'"));
  const accept = rules.find(({ action, match }) => action === 'accept' && match === '<ip/>');
  expect(drop?.action).toBe('drop');
  expect(drop?.priority).toBeLessThan(accept?.priority ?? -Infinity);
});
