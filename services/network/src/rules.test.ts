import { describe, expect, it } from 'vitest';
import { checkAddress, checkMac, checkNetworkCidr, checkRules, LIMITS, type RuleInput } from './rules.ts';

const refused = (field: string, message: RegExp) => expect.objectContaining({ code: 'BAD_USER_INPUT', field, message: expect.stringMatching(message) });

it.each(['10.1.0.0/16', '10.1.0.0/29', '192.168.7.0/24'])('takes %s for a network', (cidr) => {
  expect(checkNetworkCidr(cidr)).toBe(cidr);
});

it.each([
  ['10.1.0.0', /written like/],
  ['10.1.0.1/24', /its range is 10\.1\.0\.0\/24/],
  ['10.0.0.0/15', /from \/16 to \/29/],
  ['10.0.0.0/30', /from \/16 to \/29/],
  ['127.0.0.0/24', /private/],
  ['8.8.8.0/24', /private/],
  ['fd00::/64', /written like/],
])('refuses %s', (cidr, message) => {
  expect(() => checkNetworkCidr(cidr)).toThrow(refused('cidr', message));
});

it.each([
  ['52:54:00:AA:bb:01', '52:54:00:aa:bb:01'],
  ['02:00:00:00:00:01', '02:00:00:00:00:01'],
])('takes %s for a NIC', (text, mac) => {
  expect(checkMac(text)).toBe(mac);
});

it.each(['', '52:54:00:aa:bb', '52-54-00-aa-bb-01', '01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00', "52:54:00:aa:bb:01'"])('refuses "%s" for a NIC', (text) => {
  expect(() => checkMac(text)).toThrow(refused('mac', /MAC/));
});

it('refuses what is no address', () => {
  expect(checkAddress('10.1.0.5')).toBe('10.1.0.5');
  expect(() => checkAddress('10.1.0.5/24')).toThrow(refused('address', /written like/));
});

describe('rules', () => {
  const rule = (more: Partial<RuleInput>): RuleInput => ({ direction: 'INGRESS', protocol: 'TCP', ...more });

  it.each([
    [rule({}), { portFrom: null, portTo: null, cidr: null }],
    [rule({ portFrom: 80 }), { portFrom: 80, portTo: 80 }],
    [rule({ portTo: 80 }), { portFrom: 80, portTo: 80 }],
    [rule({ portFrom: 1, portTo: 65_535 }), { portFrom: 1, portTo: 65_535 }],
    [rule({ protocol: 'ANY', cidr: '10.1.0.5' }), { cidr: '10.1.0.5/32' }],
    [rule({ protocol: 'ICMP', cidr: '0.0.0.0/0' }), { cidr: '0.0.0.0/0' }],
  ])('%o', (input, expected) => {
    expect(checkRules([input])).toEqual([expect.objectContaining(expected)]);
  });

  it.each([
    [rule({ protocol: 'ICMP', portFrom: 80 }), 'rules.0.portFrom', /ICMP has no ports/],
    [rule({ portFrom: 0 }), 'rules.0.portFrom', /between 1 and 65535/],
    [rule({ portFrom: 1, portTo: 65_536 }), 'rules.0.portTo', /between 1 and 65535/],
    [rule({ portFrom: 90, portTo: 80 }), 'rules.0.portTo', /smaller to the larger/],
    [rule({ cidr: '10.1.0.5/24' }), 'rules.0.cidr', /its range is/],
    [rule({ cidr: 'anywhere' }), 'rules.0.cidr', /written like/],
  ])('%o is refused at %s', (input, field, message) => {
    expect(() => checkRules([input])).toThrow(refused(field, message));
  });

  it('are not without end', () => {
    expect(() => checkRules(Array.from({ length: LIMITS.rules.most + 1 }, () => rule({})))).toThrow(refused('rules', /at most 100/));
  });
});
