import { execFile, spawn } from 'node:child_process';
import { appendFileSync, cpSync, readFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { Agent, get } from 'node:https';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { eventually } from '@novacron/testkit';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGateway } from '../src/gateway.ts';
import type { TlsFiles } from '../src/http/certificate.ts';
import { createHttpServer } from '../src/http/server.ts';
import { openTls } from '../src/http/tls.ts';
import { createTelemetry } from '../src/telemetry.ts';
import { makeCertificate } from './certificates.ts';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { readAll, sendRaw } from './raw-socket.ts';
import { SocketClient } from './socket-client.ts';

const run = promisify(execFile);
let fixture: Fixture;
let root: TlsFiles;
let pair: TlsFiles;
let ca: Buffer;

beforeAll(async () => {
  root = await makeCertificate('root', { isAuthority: true });
  const issuer = await makeCertificate('issuer', { isAuthority: true, issuer: root });
  pair = await makeCertificate('server', { issuer });
  appendFileSync(pair.cert, readFileSync(issuer.cert));
  ca = readFileSync(root.cert);
  fixture = await startGateway({ options: { tls: pair, redirectPort: 0 } });
});
afterAll(() => fixture.close());

/** What openssl says of a handshake in which it trusts nothing but our root. */
async function handshake(...options: string[]): Promise<{ isTaken: boolean; said: string }> {
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${fixture.gateway.port}`, '-CAfile', root.cert, '-verify_return_error', ...options]);
  child.stdin.end();
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { isTaken: /^New, TLSv1\.\d, Cipher is (?!\(NONE\))/m.test(out), said: `${out}${err}` };
}

describe('openssl', () => {
  it('is shown a chain that it trusts, for the name and the address', async () => {
    for (const name of [['-verify_hostname', 'localhost'], ['-verify_ip', '127.0.0.1']]) {
      const { said } = await handshake(...name);
      expect(said).toMatch('Verify return code: 0 (ok)');
      expect(said).toMatch(/ 0 s:CN = server\n[^]* 1 s:CN = issuer\n/);
    }
    expect((await handshake('-verify_hostname', 'elsewhere.example')).said).toMatch('hostname mismatch');
  });

  it.each([
    ['-tls1_3', 'New, TLSv1.3, Cipher is TLS_'],
    ['-tls1_2', 'New, TLSv1.2, Cipher is ECDHE-ECDSA-'],
  ])('may speak %s', async (version, expected) => {
    expect((await handshake(version)).said).toMatch(expected);
  });

  it.each(['-tls1_1', '-tls1'])('may not speak %s', async (version) => {
    const { isTaken, said } = await handshake(version, '-cipher', 'ALL:@SECLEVEL=0');
    expect(isTaken).toBe(false);
    expect(said).toMatch('alert protocol version');
  });

  it('finds ciphers with authentication and forward secrecy, of all that it knows', async () => {
    const { stdout } = await run('openssl', ['ciphers', '-s', '-tls1_2', 'ALL:@SECLEVEL=0']);
    const offered = new Set(stdout.trim().split(':').filter((cipher) => !cipher.startsWith('TLS_')));
    expect(offered.size).toBeGreaterThan(50);
    const taken: string[] = [];
    for (;;) {
      const { isTaken, said } = await handshake('-tls1_2', '-cipher', `${[...offered].join(':')}:@SECLEVEL=0`);
      const cipher = /Cipher is (\S+)/.exec(said)?.[1];
      if (!isTaken || cipher === undefined) break;
      taken.push(cipher);
      offered.delete(cipher); // what is taken next?
    }
    expect(taken.toSorted()).toEqual(['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305']);
  });
});

it('a client that renegotiates is cut, and leaves no connection behind', async () => {
  const own = await makeCertificate('own');
  const [telemetry, logger] = [createTelemetry(), pino({ level: 'silent' })];
  const tls = await openTls(own, telemetry.registry, logger);
  const app = createHttpServer({ allowedOrigins: [], telemetry, logger, tls });
  const child = spawn('openssl', ['s_client', '-connect', new URL(await app.listen({ host: '127.0.0.1', port: 0 })).host, '-tls1_2']);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += String(data)));
  await eventually('the handshake', () => said.includes('Verify return code'));
  child.stdin.write('R\n');
  await eventually('the refusal', () => said.includes('no renegotiation'));
  const connections = promisify(app.server.getConnections.bind(app.server));
  await eventually('the connection to be gone', async () => (await connections()) === 0);
  expect(said).not.toMatch('HTTP/');
  tls.close();
  await app.close();
});

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
afterAll(() => agent.destroy());

/** Over one connection, as long as it lives. */
const health = () =>
  new Promise<{ status: number | undefined; isReused: boolean }>((resolve, reject) => {
    const asked = get(`${fixture.gateway.url}/health`, { ca, agent }, (response) => {
      response.resume().once('end', () => resolve({ status: response.statusCode, isReused: asked.reusedSocket }));
    }).once('error', reject);
  });

describe('over TLS', () => {
  it('the address says https', () => {
    expect(fixture.gateway.url).toBe(`https://127.0.0.1:${fixture.gateway.port}`);
  });

  it('requests are answered, and plain ones are not', async () => {
    expect(await health()).toMatchObject({ status: 200 });
    expect(await readAll(await sendRaw(fixture.gateway.port, 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'))).not.toMatch('HTTP');
  });

  it('WebSockets are, by pages of the same name over HTTPS', async () => {
    const { token } = fixture.authority.signIn([['operator', fixture.tenant]]);
    const client = await SocketClient.connect(fixture.gateway.url, token, { ca, origin: fixture.gateway.url });
    const received = client.subscribe('{ me }');
    expect((await received.until(1))[0]?.data).toMatchObject({ me: expect.any(String) });
    await client.close();
    await expect(SocketClient.connect(fixture.gateway.url, token, { ca, origin: fixture.gateway.url.replace('https', 'http') })).rejects.toThrow('403');
  });

  it('a new certificate, with another kind of key, drops nobody', async () => {
    const client = await SocketClient.connect(fixture.gateway.url, fixture.authority.signIn([['operator', fixture.tenant]]).token, { ca });
    await health();
    const next = await makeCertificate('next', { issuer: root, key: ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'] });
    cpSync(next.cert, pair.cert);
    cpSync(next.key, pair.key);
    await eventually('the new certificate', async () => {
      expect(await health()).toEqual({ status: 200, isReused: true });
      return /^New, TLSv1\.2, Cipher is ECDHE-RSA-AES/m.test((await handshake('-tls1_2', '-verify_hostname', 'localhost')).said);
    });
    expect((await client.subscribe('{ me }').until(1))[0]?.data).toMatchObject({ me: expect.any(String) });
    expect(client.closed).toBeNull();
    await client.close();
  });
});

describe('plain HTTP', () => {
  const ask = (path: string, host: string) =>
    new Promise<{ status: number | undefined; location: string | undefined }>((resolve, reject) => {
      plainRequest({ port: fixture.gateway.redirectPort, host: '127.0.0.1', path, method: 'POST', headers: { host } }, (response) => {
        response.resume().once('end', () => resolve({ status: response.statusCode, location: response.headers.location }));
      })
        .once('error', reject)
        .end('{}');
    });

  it('is sent on to HTTPS, whatever is asked', async () => {
    const { port } = fixture.gateway;
    expect(await ask('/graphql?x=1', `localhost:${fixture.gateway.redirectPort}`)).toEqual({ status: 308, location: `https://localhost:${port}/graphql?x=1` });
    expect(await ask('/health', '127.0.0.1')).toEqual({ status: 308, location: `https://127.0.0.1:${port}/health` });
  });

  it('is sent nowhere under a name that the certificate is not for', async () => {
    expect(await ask('/', 'evil.example')).toEqual({ status: 421, location: undefined });
  });

  it('says nothing of HTTPS to come, which anybody could say there', async () => {
    const response = await fetch(`http://127.0.0.1:${fixture.gateway.redirectPort}/`, { redirect: 'manual' });
    expect(response.headers.get('strict-transport-security')).toBeNull();
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });
});

it('a gateway does not start with a certificate that has expired', async () => {
  const expired = await makeCertificate('expired', { from: -9, until: -2 });
  await expect(createGateway({ ...fixture.options, tls: expired })).rejects.toMatchObject({
    code: 'BAD_USER_INPUT',
    message: expect.stringMatching(/^The certificate in .* \(CN=expired, good from 20.*Z until 20.*Z\) has expired\.$/),
  });
});
