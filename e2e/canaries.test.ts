import { randomBytes } from 'node:crypto';
import { eventually } from '@novacron/testkit';
import { TOTP } from 'otpauth';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMailServer, type TestMailServer } from '../services/identity/test/mail.ts';
import type { Graph, Loose } from './kit/client.ts';
import { startCollector, type Collector } from './kit/collector.ts';
import { registerHost } from './kit/embedded.ts';
import { PARTS, startFleet, type Fleet } from './kit/fleet.ts';
import { ADMIN } from './kit/people.ts';
import { createVm } from './kit/vm.ts';

/**
 * Secrets that are easy to find are planted wherever one is typed or made, in every process; then everything that comes out is
 * searched for them: logs, traces, metrics, and errors of whoever sends them wrongly.
 */
let fleet: Fleet;
let collector: Collector;
let mails: TestMailServer;
let admin: Graph;
/** What was planted, by what it is. */
const planted = new Map<string, string>();
/** Errors as clients were told them. */
const told: string[] = [];

const plant = (what: string, secret = `canary-${randomBytes(12).toString('hex')}`): string => {
  planted.set(what, secret);
  return secret;
};

async function ask(graph: Graph, query: string, variables: object = {}): Promise<Loose> {
  const { data, errors } = await graph.ask(query, variables);
  told.push(JSON.stringify(errors));
  return data ?? {};
}

beforeAll(async () => {
  [collector, mails] = await Promise.all([startCollector(), startMailServer()]);
  fleet = await startFleet((part) => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_SERVICE_NAME: part,
    OTEL_BSP_SCHEDULE_DELAY: '100',
    NOVACRON_LOG_LEVEL: 'trace',
    NOVACRON_SLOW_OPERATION_MS: '1', // all operations are logged with their documents and plans
    ...(part === 'identity' ? { NOVACRON_SMTP_URL: mails.options.smtpUrl ?? '' } : {}),
  }));
  admin = fleet.graph.as(await fleet.graph.login(ADMIN.email, ADMIN.password));
  planted.set('the password of the administrator', ADMIN.password);
  await registerHost(admin, fleet.host);
  await plantAll();
}, 180_000);
afterAll(async () => {
  await fleet?.close();
  await Promise.all([collector?.close(), mails?.stop()]);
});

const REGISTER = 'mutation ($input: RegisterInput!) { register(input: $input) { accessToken refreshToken } }';
const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken secondFactorRequired } }';

/** Each way in which a secret comes into the system, done rightly and wrongly. */
async function plantAll(): Promise<void> {
  const stranger = fleet.graph;
  const email = 'carol@novacron.test';
  const first = plant('a password at registration');
  const { register } = await ask(stranger, REGISTER, { input: { email, name: 'Carol', password: first } });
  plant('an access token', register.accessToken);
  plant('a refresh token', register.refreshToken);
  const carol = stranger.as({ token: register.accessToken });
  const { token } = await mails.arrived(email);
  await ask(carol, 'mutation ($token: String!) { verifyEmail(token: $token) }', { token: plant('a token of a mail', token ?? '') });
  await ask(stranger, 'mutation ($token: String!) { verifyEmail(token: $token) }', { token: plant('a token that is none') });
  await ask(stranger, REGISTER, { input: { email, name: 'Carol', password: plant('a password in the wrong shape'), admin: true } });
  await ask(stranger, REGISTER, { input: { email, name: 'Carol', password: { hidden: plant('a password that is an object') } } });
  await ask(stranger, `mutation { login(input: { email: "${email}", password: "${plant('a password in the text of a document')}" }) { accessToken } }`);
  await ask(stranger, `mutation { login(input: { email: "${email}", password: "${plant('a password in a document that is none')}" }) { accessToken }`);
  await ask(stranger, LOGIN, { input: { email, password: plant('a wrong password') } });
  await ask(stranger, LOGIN, { input: { email: plant('a password in the field of the address'), password: 'x' } });
  await ask(stranger, 'mutation ($token: String!) { refreshSession(refreshToken: $token) { accessToken } }', { token: plant('a refresh token that is none') });
  await ask(stranger.as({ token: plant('an access token that is none') }), '{ me { id } }');
  await fetch(`${stranger.url}/api/v1/vms?token=${plant('a token in an address')}`);

  const second = plant('a new password');
  await ask(carol, 'mutation ($old: String!, $new: String!) { changePassword(currentPassword: $old, newPassword: $new) }', { old: first, new: second });
  await ask(carol, 'mutation ($old: String!, $new: String!) { changePassword(currentPassword: $old, newPassword: $new) }', { old: plant('a current password that is wrong'), new: second });
  const { beginTotp } = await ask(carol, 'mutation { beginTotp { secret otpauthUri } }');
  const secret = plant('the secret of an authenticator', beginTotp.secret);
  const { confirmTotp } = await ask(carol, 'mutation ($code: String!) { confirmTotp(code: $code) { codes } }', { code: new TOTP({ secret }).generate() });
  const [backupCode = ''] = confirmTotp.codes as string[];
  await ask(stranger, LOGIN, { input: { email, password: second, code: plant('a code that is none') } });
  const { login } = await ask(stranger, LOGIN, { input: { email, password: second, code: plant('a backup code', backupCode) } });
  plant('an access token of a later session', login.accessToken);

  const { createApiToken } = await ask(admin, 'mutation { createApiToken(input: { name: "canary", scopes: ["vm:read"] }) { secret } }');
  await ask(stranger.as({ token: plant('the secret of an API token', createApiToken.secret) }), '{ vms { totalCount } hosts { edges { node { uri } } } }');
  const { vm, operation } = await createVm(admin, fleet.guest, { cloudInit: { userData: `#!/bin/sh\necho ${plant('a secret in user data')}\n` } });
  await operation.succeeds();
  await vm.does('delete');
  await ask(admin, 'query LastOfAll { hosts { totalCount } }');
  await Promise.all(['gateway', 'core'].map((part) => eventually(`the last span of ${part}`, () => hasTraced(part))));
}

/** Has that part sent its spans of the last request? */
function hasTraced(part: string): boolean {
  const traceId = collector.spans.find(({ name }) => name.includes('LastOfAll'))?.traceId;
  return traceId !== undefined && collector.spans.some((span) => span.traceId === traceId && span.service === part);
}

/** Everything that has come out so far. */
async function everything(): Promise<Map<string, string>> {
  const metrics = await (await fetch(`${fleet.graph.url}/metrics`)).text();
  return new Map([
    ...PARTS.map((part) => [`what ${part} has printed`, fleet.part(part).stdout + fleet.part(part).stderr] as const),
    ['traces', collector.received.join('\n')],
    ['metrics', metrics],
    ['errors', told.join('\n')],
  ]);
}

describe('nothing of what is secret', () => {
  it('comes out', async () => {
    const out = await everything();
    const found = [...planted].flatMap(([what, secret]) => [...out].filter(([, text]) => text.includes(secret)).map(([where]) => `${what}: in ${where}`));
    expect(found).toEqual([]);
  });

  it('would have gone unnoticed: the search finds what is no secret', async () => {
    const out = await everything();
    expect(planted.size).toBeGreaterThan(20);
    expect([...planted.values()].every((secret) => secret.length >= 8)).toBe(true);
    for (const text of out.values()) expect(text.length).toBeGreaterThan(100);
    expect(out.get('what identity has printed')).toContain('signed in');
    expect(out.get('traces')).toContain('subgraph identity');
    expect(out.get('metrics')).toContain('novacron_');
  });
});
