import { describe, expect, it } from 'vitest';
import { isOriginAllowed } from './origin.ts';

const allowed = ['https://dashboard.example'];

describe('over plain HTTP, as behind a proxy', () => {
  it.each([
    ['no origin', {}, true],
    ['our own', { origin: 'http://localhost:8090', host: 'localhost:8090' }, true],
    ['our own at the usual port', { origin: 'http://cloud.example', host: 'cloud.example:80' }, true],
    ["our own, by a proxy's TLS", { origin: 'https://cloud.example', host: 'cloud.example' }, true],
    ['our own, written differently', { origin: 'https://cloud.example', host: 'Cloud.example:443' }, true],
    ['an allowed one', { origin: 'https://dashboard.example', host: 'cloud.example' }, true],
    ['an allowed one over http', { origin: 'http://dashboard.example', host: 'cloud.example' }, false],
    ['another port', { origin: 'http://localhost:8091', host: 'localhost:8090' }, false],
    ['another usual port', { origin: 'http://cloud.example', host: 'cloud.example:443' }, false],
    ['one that begins alike', { origin: 'https://cloud.example.evil.example', host: 'cloud.example' }, false],
    ['one that hides behind a name', { origin: 'https://evil.example', host: 'cloud.example@evil.example:1' }, false],
    ['another protocol', { origin: 'ftp://cloud.example', host: 'cloud.example' }, false],
    ['an opaque one', { origin: 'null', host: 'cloud.example' }, false],
    ['one without a host to compare with', { origin: 'https://cloud.example' }, false],
  ])('%s', (_what, headers, expected) => {
    expect(isOriginAllowed({ headers, socket: {} }, allowed)).toBe(expected);
  });
});

describe('over TLS of ours', () => {
  it.each([
    ['no origin', {}, true],
    ['our own', { origin: 'https://cloud.example:8090', host: 'cloud.example:8090' }, true],
    ['our own at the usual port', { origin: 'https://cloud.example', host: 'cloud.example' }, true],
    ['our own over plain HTTP', { origin: 'http://cloud.example:8090', host: 'cloud.example:8090' }, false],
    ['our own over plain HTTP, at its usual port', { origin: 'http://cloud.example', host: 'cloud.example' }, false],
    ['an allowed one', { origin: 'https://dashboard.example', host: 'cloud.example' }, true],
    ['a foreign one', { origin: 'https://evil.example', host: 'cloud.example' }, false],
  ])('%s', (_what, headers, expected) => {
    expect(isOriginAllowed({ headers, socket: { encrypted: true } }, allowed)).toBe(expected);
  });
});
