import { describe, expect, it } from 'vitest';
import { cidrOf, formatAddress, formatCidr, gatewayOf, isPrivate, netmaskOf, overlaps, parseAddress, parseCidr } from './cidr.ts';

describe('an address', () => {
  it.each([
    ['0.0.0.0', 0],
    ['10.1.2.3', 0x0a_01_02_03],
    ['255.255.255.255', 2 ** 32 - 1],
  ])('%s is read and written', (text, number) => {
    expect(parseAddress(text)).toBe(number);
    expect(formatAddress(number)).toBe(text);
  });

  it.each(['', '10.1.2', '10.1.2.3.4', '10.1.2.256', '10.01.2.3', '10.1.2.-3', ' 10.1.2.3', 'a.b.c.d', '::1'])('"%s" is none', (text) => {
    expect(parseAddress(text)).toBeNull();
  });
});

describe('a range', () => {
  it.each([
    ['10.1.0.0/16', '10.1.0.0/16', false],
    ['10.1.2.3/16', '10.1.0.0/16', true],
    ['0.0.0.0/0', '0.0.0.0/0', false],
    ['192.0.2.7/32', '192.0.2.7/32', false],
    ['192.0.2.7/31', '192.0.2.6/31', true],
  ])('%s is %s', (text, range, hostBits) => {
    const cidr = parseCidr(text);
    expect(cidr && [formatCidr(cidr), cidr.hostBits]).toEqual([range, hostBits]);
  });

  it.each(['', '10.1.0.0', '10.1.0.0/', '10.1.0.0/33', '10.1.0.0/08', '10.1.0.0/8/8', '10.1.0.0/-1', 'fd00::/64'])('"%s" is none', (text) => {
    expect(parseCidr(text)).toBeNull();
  });

  it.each([
    ['10.1.0.0/16', '10.1.255.0/24', true],
    ['10.1.255.0/24', '10.1.0.0/16', true],
    ['10.1.0.0/24', '10.1.0.0/24', true],
    ['10.1.0.0/24', '10.1.1.0/24', false],
    ['0.0.0.0/0', '203.0.113.0/24', true],
    ['10.255.255.248/29', '11.0.0.0/8', false],
  ])('%s and %s overlap: %s', (one, other, expected) => {
    expect(overlaps(cidrOf(one), cidrOf(other))).toBe(expected);
  });

  it('has its first address for its gateway, and a netmask', () => {
    expect([gatewayOf(cidrOf('10.1.0.0/20')), netmaskOf(cidrOf('10.1.0.0/20'))]).toEqual(['10.1.0.1', '255.255.240.0']);
  });

  it.each([
    ['10.0.0.0/16', true],
    ['172.31.0.0/16', true],
    ['192.168.255.0/24', true],
    ['172.0.0.0/8', false],
    ['172.32.0.0/16', false],
    ['203.0.113.0/24', false],
    ['8.8.8.0/24', false],
    ['100.64.0.0/16', false],
    ['127.0.0.0/24', false],
    ['169.254.1.0/24', false],
    ['224.0.0.0/24', false],
    ['0.1.0.0/16', false],
  ])('%s may be a network: %s', (text, expected) => {
    expect(isPrivate(cidrOf(text))).toBe(expected);
  });
});
