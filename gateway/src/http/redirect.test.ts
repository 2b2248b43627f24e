import { describe, expect, it } from 'vitest';
import { toHttps } from './redirect.ts';

const names = new Set(['cloud.example', '192.0.2.7', '::1']);
const tls = { isFor: (host: string) => names.has(host) };
const of = (host: string | undefined, url: string, port = 8090) => toHttps({ headers: host === undefined ? {} : { host }, url }, port, tls);

describe('the address by HTTPS', () => {
  it.each([
    ['cloud.example', '/', 'https://cloud.example:8090/'],
    ['cloud.example:8080', '/graphql?query=%7Bme%7D', 'https://cloud.example:8090/graphql?query=%7Bme%7D'],
    ['CLOUD.example', '/a', 'https://cloud.example:8090/a'],
    ['192.0.2.7:80', '/', 'https://192.0.2.7:8090/'],
    ['[::1]:80', '/', 'https://[::1]:8090/'],
    ['cloud.example', '//evil.example/', 'https://cloud.example:8090//evil.example/'],
    ['cloud.example', 'http://evil.example/', 'https://cloud.example:8090/'],
    ['cloud.example', '*', 'https://cloud.example:8090/'],
  ])('of %s %s is %s', (host, url, expected) => {
    expect(of(host, url)).toBe(expected);
  });

  it('leaves the usual port out', () => {
    expect(of('cloud.example', '/', 443)).toBe('https://cloud.example/');
  });

  it.each([undefined, '', 'evil.example', 'cloud.example.evil.example', 'cloud.example@evil.example', 'evil.example#cloud.example', 'evil.example/cloud.example', 'evil.example\\cloud.example', 'cloud.example:8o', 'cloud.example\r\nx: y', 'cloud example', '[::1', '::1'])(
    'is none of %j',
    (host) => {
      expect(of(host, '/')).toBeNull();
    },
  );
});
