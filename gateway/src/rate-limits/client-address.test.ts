import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { clientAddress, trustProxies } from './client-address.ts';

describe('where a request comes from', () => {
  const from = (remoteAddress: string | undefined, forwarded?: string) =>
    ({ socket: { remoteAddress }, headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded } }) as unknown as IncomingMessage; // all that is looked at

  it.each([
    ['nobody is trusted', [], '10.0.0.1', '198.51.100.1', '10.0.0.1'],
    ['a client claims an address, and no proxy is between', ['10.0.0.0/8'], '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['a proxy tells of it', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['a client claims an address before the proxy does', ['10.0.0.0/8'], '10.0.0.1', '198.51.100.1, 203.0.113.9', '203.0.113.9'],
    ['a client claims to be a trusted proxy', ['10.0.0.0/8'], '10.0.0.1', '198.51.100.1, 203.0.113.9, 10.0.0.2', '203.0.113.9'],
    ['a proxy comes over IPv4 in IPv6', ['10.0.0.0/8'], '::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['a proxy has an IPv6 address', ['2001:db8::/32'], '2001:db8::1', '203.0.113.9', '203.0.113.9'],
    ['a proxy tells nothing', ['10.0.0.0/8'], '10.0.0.1', undefined, '10.0.0.1'],
    ['the socket is gone', ['10.0.0.0/8'], undefined, '203.0.113.9', null],
  ])('when %s', (_when, trusted, remote, forwarded, address) => {
    expect(clientAddress(from(remote, forwarded), trustProxies(trusted))).toBe(address);
  });
});
