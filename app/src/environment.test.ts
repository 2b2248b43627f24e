import { expect, it } from 'vitest';
import { readEnvironment } from './environment.ts';

const pair = { NOVACRON_TLS_CERT: '/etc/novacron/tls.crt', NOVACRON_TLS_KEY: '/etc/novacron/tls.key' };

it('speaks plain HTTP without a certificate, and sends nobody anywhere', () => {
  expect(readEnvironment({ NOVACRON_TLS_CERT: '', NOVACRON_TLS_KEY: '' }).gateway).toMatchObject({ tls: null, redirectPort: null });
});

it('speaks HTTPS with a certificate and its key', () => {
  expect(readEnvironment({ ...pair, NOVACRON_HTTP_REDIRECT_PORT: '80' }).gateway).toMatchObject({
    tls: { cert: '/etc/novacron/tls.crt', key: '/etc/novacron/tls.key' },
    redirectPort: 80,
  });
});

it.each([
  ['a certificate without its key', { ...pair, NOVACRON_TLS_KEY: '' }, 'NOVACRON_TLS_KEY: must be set where NOVACRON_TLS_CERT is'],
  ['a key without its certificate', { ...pair, NOVACRON_TLS_CERT: '' }, 'NOVACRON_TLS_CERT: must be set where NOVACRON_TLS_KEY is'],
  ['a way to HTTPS without HTTPS', { NOVACRON_HTTP_REDIRECT_PORT: '80' }, 'NOVACRON_TLS_CERT: must be set where NOVACRON_HTTP_REDIRECT_PORT is'],
  ['a file that depends on where it is started', { ...pair, NOVACRON_TLS_CERT: 'tls.crt' }, 'NOVACRON_TLS_CERT: '],
])('refuses %s, with whatever else is wrong', (_what, env, fault) => {
  expect(() => readEnvironment({ ...env, NOVACRON_LOG_LEVEL: 'loud' })).toThrow(new RegExp(`^These environment variables are wrong:\n(?=[^]*  ${fault})(?=[^]*  NOVACRON_LOG_LEVEL: )`));
});
