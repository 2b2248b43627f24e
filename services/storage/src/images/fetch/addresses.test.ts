import { expect, it } from 'vitest';
import { addressList, addressPolicy, isPublicAddress, requireAllowed } from './addresses.ts';

it.each([
  '1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.1', '168.63.129.15', '169.253.255.255',
  '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.0.1.0', '192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '223.255.255.255',
  '2000::', '2001:200::1', '2606:4700:4700::1111', '2a00:1450:4001:81b::200e', '2003::1', '3ffe:ffff::1',
])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

it.each([
  ['this network', '0.0.0.0'],
  ['this network', '0.255.255.255'],
  ['private', '10.0.0.1'],
  ['private', '10.255.255.255'],
  ['carrier-grade NAT', '100.64.0.0'],
  ['a metadata service', '100.100.100.200'],
  ['carrier-grade NAT', '100.127.255.255'],
  ['loopback', '127.0.0.1'],
  ['loopback', '127.255.255.254'],
  ['a metadata service', '168.63.129.16'],
  ['a metadata service', '169.254.169.254'],
  ['private', '172.16.0.1'],
  ['private', '172.31.255.255'],
  ['protocol assignments', '192.0.0.192'],
  ['documentation', '192.0.2.1'],
  ['6to4 relay', '192.88.99.1'],
  ['private', '192.168.1.1'],
  ['benchmarks', '198.18.0.1'],
  ['benchmarks', '198.19.255.255'],
  ['documentation', '198.51.100.7'],
  ['documentation', '203.0.113.7'],
  ['multicast', '224.0.0.1'],
  ['multicast', '239.255.255.255'],
  ['reserved', '240.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['unspecified', '::'],
  ['loopback', '::1'],
  ['IPv4-compatible', '::8.8.8.8'],
  ['IPv4-mapped', '::ffff:127.0.0.1'],
  ['IPv4-mapped, public', '::ffff:8.8.8.8'],
  ['IPv4-mapped, in hexadecimal', '::ffff:7f00:1'],
  ['IPv4-translated', '::ffff:0:127.0.0.1'],
  ['NAT64', '64:ff9b::7f00:1'],
  ['local NAT64', '64:ff9b:1::1'],
  ['discard-only', '100::1'],
  ['Teredo', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  ['ORCHID', '2001:20::1'],
  ['documentation', '2001:db8::1'],
  ['6to4 of 127.0.0.1', '2002:7f00:1::1'],
  ['documentation', '3fff::1'],
  ['segment routing', '5f00::1'],
  ['unique local', 'fc00::1'],
  ['a metadata service', 'fd00:ec2::254'],
  ['link-local', 'fe80::1'],
  ['site-local', 'fec0::1'],
  ['multicast', 'ff02::1'],
  ['nothing', ''],
  ['a name', 'localhost'],
  ['with a zone', 'fe80::1%eth0'],
])('%s is not public: %s', (_what, address) => {
  expect(isPublicAddress(address)).toBe(false);
});

it('allows what an administrator has named, and nothing beside it', () => {
  const policy = addressPolicy(['127.0.0.0/8', 'fd12::/16']);
  const answers = ['127.0.0.1', '128.0.0.1', '10.0.0.1', 'fd12::1', 'fd13::1', '::1', '::ffff:127.0.0.1'].map((address) => policy(address));
  expect(answers).toEqual([true, true, false, true, false, false, false]);
});

it('allows no mapped address because all of IPv6 is allowed', () => {
  const policy = addressPolicy(['::/0', '127.0.0.0/8']);
  for (const mapped of ['::ffff:127.0.0.1', '::FFFF:7f00:1', '0:0:0:0:0:ffff:7f00:1']) expect(policy(mapped)).toBe(false);
});

it.each(['', '127.0.0.1', '127.0.0.1/33', '::/129', '127.0.0.1/8/9', 'localhost/8', '127.0.0.1/', '127.0.0.1/-1', '127.0.0.1/1e1'])('"%s" is no CIDR', (text) => {
  expect(() => addressList([text])).toThrow(RangeError);
});

it('refuses a host of which one address is not public, and one of which there is none', () => {
  const policy = addressPolicy([]);
  const refused = expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'url' });
  expect(() => requireAllowed(policy, 'example.org', ['8.8.8.8', '10.0.0.1'])).toThrow(refused);
  expect(() => requireAllowed(policy, 'example.org', [])).toThrow(refused);
  expect(() => requireAllowed(policy, 'example.org', ['8.8.8.8', '2606:4700:4700::1111'])).not.toThrow();
});
