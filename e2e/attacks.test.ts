import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMailServer, type TestMailServer } from '../services/identity/test/mail.ts';
import type { Graph, Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { ADMIN } from './kit/people.ts';
import { rest } from './kit/rest.ts';

/** Ways in that other systems have left open, tried from outside; each part has tests of its own beside it (docs/security.md). */
let system: Embedded;
let mails: TestMailServer;
let admin: Graph;
const PUBLIC_URL = 'https://cloud.novacron.test';
const PASSWORD = 'a password for tests';

beforeAll(async () => {
  mails = await startMailServer();
  system = await startEmbedded({ NOVACRON_SMTP_URL: mails.options.smtpUrl ?? '', NOVACRON_PUBLIC_URL: PUBLIC_URL });
  admin = system.graph.as(await system.graph.login(ADMIN.email, ADMIN.password));
}, 60_000);
afterAll(async () => {
  await system?.close();
  await mails?.stop();
});

/** What the gateway answers to a request that asks it to close the connection. */
async function raw(request: string): Promise<string> {
  const { hostname, port } = new URL(system.graph.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(request);
  return text(socket);
}

const post = (path: string, body: string, headers = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: evil.example\r\n${headers}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;

const userNamed = async (email: string): Promise<Loose> => {
  const { users } = await admin.run('query ($search: String) { users(filter: { search: $search }) { edges { node { id emailVerified roles { role } } } } }', { search: email });
  return users.edges[0].node;
};

describe('fields that nobody asked for (mass assignment)', () => {
  const MORE = [{ emailVerified: true }, { role: 'platform_admin' }, { roles: [{ role: 'platform_admin', tenantId: 'x' }] }, { kind: 'service' }, { id: '018f0000-0000-7000-8000-000000000000' }, { tenantId: 'x' }];

  it.each(MORE)('%j is refused in a mutation', async (more) => {
    const input = { email: 'mallory@novacron.test', name: 'Mallory', password: PASSWORD, ...more };
    const { extensions } = await system.graph.refused('mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }', { input });
    expect(extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: Object.keys(more)[0] });
  });

  it.each(MORE)('%j changes nothing over REST', async (more) => {
    const email = `rest-${Object.keys(more)[0]?.toLowerCase()}@novacron.test`;
    const { status } = await rest(system.graph.url, null, 'POST', '/api/auth/register', { email, name: 'Mallory', password: PASSWORD, ...more });
    if (status >= 400) return; // refused
    expect(await userNamed(email)).toMatchObject({ emailVerified: false, roles: [] });
  });

  it('is refused where people change what is theirs', async () => {
    const { extensions } = await admin.refused('mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { id } }', { input: { name: 'A', email: 'b@novacron.test' } });
    expect(extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'email' });
  });
});

describe('keys of JSON that are words of JavaScript (prototype pollution)', () => {
  const POISON = '{"polluted": "yes"}';
  const clean = () => expect(({} as Loose)['polluted']).toBeUndefined(); // the system runs in this process

  it.each(['__proto__', 'constructor', 'prototype'])('%s is a name like any other', async (name) => {
    const nested = `{"${name}": ${POISON}, "constructor": {"prototype": ${POISON}}}`;
    for (const [path, body] of [
      ['/graphql', `{"query": "{ __typename }", "variables": ${nested}, "extensions": ${nested}, "${name}": ${POISON}}`],
      ['/graphql', `{"query": "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }", "variables": {"input": ${nested}}}`],
      ['/api/auth/login', `{"email": "a@b.c", "password": "x", "${name}": ${POISON}}`],
      ['/api/v1/vms', nested],
    ] as const) {
      expect(await raw(post(path, body))).toMatch(/^HTTP\/1\.1 [24]\d\d /);
      clean();
    }
    const { hosts } = await admin.run('query ($filter: HostFilter) { hosts(filter: $filter) { totalCount } }', { filter: JSON.parse('{}') as object });
    expect(hosts.totalCount).toBe(0);
  });

  it('are refused where anything else may be written', async () => {
    const labels = JSON.parse(`{"__proto__": ${POISON}, "rack": "1"}`) as object;
    const input = { name: 'poisoned', uri: 'qemu+unix:///system?socket=/nowhere', labels };
    const { extensions } = await admin.refused('mutation ($input: RegisterHostInput!) { registerHost(input: $input) { id } }', { input });
    expect(extensions.code).toBe('BAD_REQUEST');
    clean();
  });
});

describe('lines that are no lines of ours (header injection)', () => {
  it.each(['X-Request-Id', 'Traceparent', 'Origin', 'Last-Event-Id', 'Accept', 'X-Forwarded-For', 'User-Agent'])('none come out of %s', async (name) => {
    const answer = await raw(`GET /graphql?query={__typename} HTTP/1.1\r\nHost: evil.example\r\n${name}: a%0d%0aX-Injected: yes\\r\\nX-Injected: yes\r\nApollo-Require-Preflight: 1\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 \d\d\d /);
    expect(answer).not.toMatch(/^x-injected:/im);
  });

  it('none come out of an address or a name', async () => {
    for (const path of ['/%0d%0aX-Injected:%20yes', '/api/v1/vms/%0d%0aX-Injected:%20yes', '/playground%0d%0aX-Injected:%20yes']) {
      expect(await raw(`GET ${path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`)).not.toMatch(/^x-injected:/im);
    }
    const { errors } = await system.graph.ask('mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }', {
      input: { email: 'injector@novacron.test', name: 'Bob\r\nBcc: all@novacron.test', password: PASSWORD },
    });
    expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'name' });
  });
});

describe('other places (open redirect)', () => {
  it.each(['//evil.example', '//evil.example/%2e%2e', '/\\evil.example', '/playground//evil.example', '/api/v1//evil.example', '/%2f%2fevil.example', 'http://evil.example/'])('%s leads nowhere else', async (path) => {
    const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`);
    expect(/^location: *(.*)$/im.exec(answer)?.[1] ?? '').not.toMatch(/^(?:[a-z]+:)?[/\\]{2}/i);
  });

  it('what a client calls the gateway is in no mail', async () => {
    const body = JSON.stringify({ query: 'mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }', variables: { input: { email: 'victim@novacron.test', name: 'Victim', password: PASSWORD } } });
    expect(await raw(post('/graphql', body, 'X-Forwarded-Host: evil.example\r\nOrigin: http://evil.example\r\n'))).toMatch(/^HTTP\/1\.1 \d\d\d /);
    expect(await raw(post('/graphql', body, 'X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n'))).toMatch(/^HTTP\/1\.1 200 /);
    const mail = await mails.arrived('victim@novacron.test');
    expect(mail.text).toContain(PUBLIC_URL);
    expect(mail.text + mail.html).not.toContain('evil.example');
  });
});
