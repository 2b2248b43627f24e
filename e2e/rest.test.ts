import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { newId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { ADMIN } from './kit/people.ts';
import { rest, type RestAnswer } from './kit/rest.ts';
import { apiSchema } from './kit/supergraph.ts';
import { vmInput } from './kit/vm.ts';

let system: Embedded;
let url: string;
let token: string;

beforeAll(async () => {
  system = await startEmbedded();
  ({ url } = system.graph);
  const { body } = await rest(url, null, 'POST', '/api/auth/login', ADMIN);
  token = body['accessToken'];
  await system.registerHost(system.graph.as({ token }));
});
afterAll(() => system?.close());

const ask = (method: string, path: string, body?: object): Promise<RestAnswer> => rest(url, token, method, path, body);

describe('every route of the description', () => {
  let operations: { method: string; path: string; id: string; isPublic: boolean }[];
  beforeAll(async () => {
    const { body } = await rest(url, null, 'GET', '/api/v1/openapi.json');
    operations = Object.entries(body['paths'] as Loose).flatMap(([path, methods]) =>
      Object.entries(methods as Loose).map(([method, { operationId: id, security }]) => ({ method: method.toUpperCase(), path: path.replace('{id}', newId()), id, isPublic: security?.length === 0 })),
    );
  });

  it('is there for every query and mutation of the graph', () => {
    const schema = apiSchema();
    const fields = [schema.getQueryType(), schema.getMutationType()].flatMap((type) => Object.keys(type?.getFields() ?? {}));
    expect(fields.filter((field) => !operations.some(({ id }) => id === field))).toEqual([]);
  });

  it('is closed to strangers', async () => {
    const answers: { id: string; isPublic: boolean; is: string }[] = [];
    for (const { method, path, id, isPublic } of operations) {
      const { status, headers, body } = await rest(url, null, method, path, method === 'GET' || method === 'DELETE' ? undefined : {});
      answers.push({ id, isPublic, is: `${status} ${headers.get('content-type')?.split(';')[0]} ${body['code']}` });
    }
    expect(answers.filter(({ isPublic, is }) => !isPublic && is !== '401 application/problem+json UNAUTHENTICATED')).toEqual([]);
    expect(answers.flatMap(({ id, isPublic, is }) => (isPublic ? `${id} ${is.slice(0, 3)}` : [])).toSorted()).toEqual([
      'acceptInvitation 400',
      'authLogin 400',
      'authRefresh 400',
      'authRegister 400',
      'confirmEmailChange 400',
      'health 200',
      'login 400',
      'refreshSession 400',
      'register 400',
      'requestPasswordReset 400',
      'resetPassword 400',
      'verifyEmail 400',
    ]);
  });

  it('answers who is signed in: lists with a page, items that are not there with 404', async () => {
    for (const { method, path, id } of operations.filter((one) => one.method === 'GET')) {
      const { status, headers, body } = await ask(method, path);
      const isItem = !path.endsWith(id) && path.split('/').length > 4 && !path.includes('metrics');
      expect([id, status, headers.get('content-type')?.split(';')[0]]).toEqual(isItem ? [id, 404, 'application/problem+json'] : [id, 200, 'application/json']);
      expect([id, body['@problems']]).toEqual([id, undefined]);
    }
  });
});

it('a VM lives from its creation to its end, and is watched, without a word of GraphQL', async () => {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/events/v1`);
  const heard: Loose[] = [];
  socket.on('message', (data) => heard.push(JSON.parse(String(data)) as Loose));
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'auth', token }));
  await eventually('the socket to be ready', () => heard[0]?.['type'] === 'ready');

  /** The operation that was accepted, once it is over. */
  async function succeeds({ status, headers, body }: RestAnswer): Promise<Loose> {
    expect([status, body['code']]).toEqual([202, undefined]);
    const location = headers.get('location') ?? '';
    await eventually(`${location} to succeed`, async () => {
      const operation = (await ask('GET', location)).body;
      if (operation['state'] !== 'SUCCEEDED') throw new Error(JSON.stringify(operation));
      return true;
    }, { timeoutMs: 45_000 });
    return body;
  }

  const { vm, operation } = await succeeds(await ask('POST', '/api/v1/vms', vmInput(system.guest, { name: 'by-rest', tags: ['rest'] })));
  expect([vm.name, vm.state, operation.kind]).toEqual(['by-rest', 'PENDING', 'vm.create']);
  const path = `/api/v1/vms/${vm.id}`;
  expect((await ask('POST', `${path}/start`)).body).toMatchObject({ status: 409, code: 'INVALID_STATE' });
  await succeeds(await ask('POST', `${path}/stop`, { force: true }));
  await succeeds(await ask('POST', `${path}/start`));

  const { body: page } = await ask('GET', '/api/v1/vms?states=RUNNING&tags=rest&orderBy=-NAME&fields=name,state,host.name,createdBy.email');
  expect(page).toMatchObject({ items: [{ name: 'by-rest', state: 'RUNNING', host: { name: 'hv1' }, createdBy: { email: ADMIN.email } }], totalCount: 1 });
  await succeeds(await ask('PATCH', path, { name: 'renamed' }));
  expect((await ask('GET', path)).body).toMatchObject({ name: 'renamed', host: { id: expect.any(String) } });
  const { hosts, totals } = await eventually('the host to be sampled', async () => {
    const { body } = await ask('GET', '/api/v1/metrics/system');
    return body['hosts'].length > 0 && body;
  });
  expect([hosts.length, totals.hosts]).toEqual([1, 1]);
  await succeeds(await ask('DELETE', path));
  expect((await ask('GET', '/api/v1/vms')).body['totalCount']).toBe(0);

  const states = () => heard.filter(({ type, vm: one }) => type === 'vm.changed' && one.id === vm.id).map(({ vm: one }) => one.state);
  await eventually('the last event', () => states().at(-1) === 'DELETED');
  expect(states().filter((state, index, all) => state !== all[index - 1])).toEqual(['PENDING', 'PROVISIONING', 'RUNNING', 'STOPPING', 'STOPPED', 'STARTING', 'RUNNING', 'DELETING', 'DELETED']);
  expect(heard.some(({ type, operation: one }) => type === 'operation.changed' && one.id === operation.id && one.state === 'SUCCEEDED')).toBe(true);
  socket.terminate();
});

it('the examples of the README run as they stand', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, script = ''] = /## REST[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme) ?? [];
  const { kernel, initrd } = system.guest;
  const here = script.replaceAll('http://127.0.0.1:8090', url).replaceAll('admin@novacron.local', ADMIN.email).replaceAll('/var/lib/novacron/boot/vmlinuz', kernel).replaceAll('/var/lib/novacron/boot/initrd.gz', initrd);
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', here], { env: { ...process.env, PASSWORD: ADMIN.password } });
  const answers = stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Loose);
  expect(answers).toEqual([
    { items: [{ name: 'hv1', state: 'ONLINE', capacity: expect.any(Object) }], totalCount: 1, pageInfo: expect.any(Object) },
    { vm: { id: expect.any(String), state: 'PENDING' }, operation: { id: expect.any(String) } },
    { kind: 'vm.create', state: 'SUCCEEDED', progress: 1 },
    { vm: { state: expect.any(String) }, operation: { id: expect.any(String) } },
  ]);
  expect(stdout).toMatch(/^location: \/api\/v1\/operations\//im);
}, 120_000);

it('Swagger UI works in a browser, under a strict policy, and asks nobody else', async () => {
  const browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    page.setDefaultTimeout(20_000);
    const complaints: string[] = [];
    const hosts = new Set<string>();
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => /^(data|blob):/.test(request.url()) || hosts.add(new URL(request.url()).host));
    await page.goto(`${url}/api/docs/`);
    await page.getByRole('button', { name: 'Authorize' }).first().click();
    await page.getByLabel('auth-bearer-value').fill(token);
    await page.locator('.auth-btn-wrapper').getByRole('button', { name: 'Apply credentials' }).click();
    await page.locator('.auth-btn-wrapper').getByRole('button', { name: 'Close' }).click();
    await page.locator('#operations-tag-hosts').click();
    await page.locator('#operations-hosts-hosts').getByRole('button').first().click();
    await page.getByRole('button', { name: 'Execute' }).click();
    await page.locator('.live-responses-table').getByText('"hv1"').waitFor();
    expect(complaints).toEqual([]);
    expect([...hosts]).toEqual([new URL(url).host]);
  } finally {
    await browser.close();
  }
});
