import { expect, it } from 'vitest';
import { isOriginAllowed } from './origin.ts';

const allowed = ['https://dashboard.example'];

it.each([
  ['no origin', {}, true],
  ['our own', { origin: 'http://localhost:8090', host: 'localhost:8090' }, true],
  ['our own behind TLS', { origin: 'https://cloud.example', host: 'cloud.example' }, true],
  ['our own, written differently', { origin: 'https://cloud.example', host: 'Cloud.example' }, true],
  ['an allowed one', { origin: 'https://dashboard.example', host: 'cloud.example' }, true],
  ['an allowed one over http', { origin: 'http://dashboard.example', host: 'cloud.example' }, false],
  ['another port', { origin: 'http://localhost:8091', host: 'localhost:8090' }, false],
  ['one that begins alike', { origin: 'https://cloud.example.evil.example', host: 'cloud.example' }, false],
  ['an opaque one', { origin: 'null', host: 'cloud.example' }, false],
  ['one without a host to compare with', { origin: 'https://cloud.example' }, false],
])('%s', (_what, headers, expected) => {
  expect(isOriginAllowed(headers, allowed)).toBe(expected);
});
