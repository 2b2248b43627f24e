import { createHash } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { makePki, type Pki } from '@novacron/local';
import { testRun } from '@novacron/testkit';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ConnectionLost, DeadlineExceeded, type PkiFiles } from '../src/index.ts';
import { connectTlsSocket } from '../src/tls-socket.ts';
import { failure } from './fake-daemon.ts';

/** Servers that behave as no libvirtd does; what a real one does is in network.test.ts. */
describe('a TLS connection', () => {
  let pki: Pki;
  let foreign: Pki;
  let expired: Pki;
  const filesOf = ({ directory }: { directory: string }) => (name: string) => join(directory, name);

  beforeAll(async () => {
    const dir = (await testRun()).makeDirectory('pki');
    const host = { name: 'localhost', addresses: ['127.0.0.1'] };
    [pki, foreign] = await Promise.all([makePki(join(dir, 'ours'), [host]), makePki(join(dir, 'foreign'), [host])]);
    cpSync(join(dir, 'ours'), join(dir, 'expired'), { recursive: true });
    expired = await makePki(join(dir, 'expired'), [host], { days: -1 });
  });

  async function listen(server: Server): Promise<number> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
    server.on('tlsClientError', () => undefined); // what the client makes of it is looked at
    onTestFinished(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port; // it listens on a port
  }

  /** A server with the certificate of localhost that asks for the client's. */
  function serve(welcome: (socket: TLSSocket) => void, options: TlsOptions = {}, from: Pki = pki): Promise<number> {
    const at = filesOf(from.hosts[0]!); // there is localhost
    const own = { cert: readFileSync(at('libvirt/servercert.pem')), key: readFileSync(at('libvirt/private/serverkey.pem')) };
    const ca = readFileSync(pki.authority.cert);
    return listen(createServer({ ...own, ca, requestCert: true, rejectUnauthorized: true, ...options }, (socket) => welcome(socket.on('error', () => undefined))));
  }

  const open = (port: number, { host = '127.0.0.1', files = pki.client, deadlineMs = 10_000, signal }: { host?: string; files?: PkiFiles; deadlineMs?: number; signal?: AbortSignal } = {}): Promise<Duplex> =>
    connectTlsSocket({ transport: 'tls', driverUri: 'qemu:///system', host, port }, files, { deadlineMs, signal });

  const reasonOf = async (attempt: Promise<Duplex>): Promise<string> => {
    const error = await failure(attempt);
    expect(error).toBeInstanceOf(ConnectionLost);
    expect(error).toMatchObject({ sent: false, reason: { kind: 'socket', cause: expect.any(Error) } });
    return (error as ConnectionLost).reason.message; // just looked at
  };

  it.each(['127.0.0.1', 'localhost'])('to %s hands on what follows the welcome', async (host) => {
    let subject = '';
    const port = await serve((socket) => {
      subject = String(socket.getPeerCertificate().subject.CN);
      socket.write(Buffer.from([1, 2, 3]));
      socket.on('data', (chunk: Buffer) => socket.end(chunk));
    });
    const socket = await open(port, { host });
    socket.write(Buffer.from([4]));
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer); // no encoding was set
    expect(Buffer.concat(chunks)).toEqual(Buffer.from([2, 3, 4]));
    expect(subject).toBe('novacron');
  });

  it('hands on much, of which nothing is lost before somebody listens', async () => {
    const much = Buffer.alloc(1 << 20, 'libvirt');
    const port = await serve((socket) => {
      socket.write(Buffer.from([1]));
      socket.end(much);
    });
    const socket = await open(port);
    await new Promise((resolve) => setImmediate(resolve));
    const hash = createHash('sha256');
    for await (const chunk of socket) hash.update(chunk as Buffer); // no encoding was set
    expect(hash.digest('hex')).toBe(createHash('sha256').update(much).digest('hex'));
  });

  it.each([0, 2, 255])('that is welcomed with %i is refused', async (word) => {
    expect(await reasonOf(open(await serve((socket) => socket.write(Buffer.from([word])))))).toContain(`does not take our certificate (it said ${word})`);
  });

  it('that ends without a word says what that means', async () => {
    expect(await reasonOf(open(await serve((socket) => socket.end())))).toContain('it does not take our certificate');
  });

  it('to nobody is refused', async () => {
    const server = createTcpServer();
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    expect(await reasonOf(open(port))).toBe(`TLS to 127.0.0.1 port ${port}: connect ECONNREFUSED 127.0.0.1:${port}`);
  });

  it('checks whose certificate the server has, and for which host', async () => {
    const welcome = (socket: TLSSocket): void => void socket.write(Buffer.from([1]));
    expect(await reasonOf(open(await serve(welcome, {}, foreign)))).toContain('unable to verify the first certificate');
    expect(await reasonOf(open(await serve(welcome, {}, expired)))).toContain('certificate has expired');
    const elsewhere = filesOf((await makePki(join(pki.client.directory, '..'), [{ name: 'hv1', addresses: ['10.0.0.1'] }])).hosts[0]!); // one was asked for
    const port = await serve(welcome, { cert: readFileSync(elsewhere('libvirt/servercert.pem')), key: readFileSync(elsewhere('libvirt/private/serverkey.pem')) });
    expect(await reasonOf(open(port))).toContain("IP: 127.0.0.1 is not in the cert's list: 10.0.0.1");
    expect(await reasonOf(open(port, { host: 'localhost' }))).toContain("is not in the cert's altnames: DNS:hv1, IP Address:10.0.0.1");
  });

  it.each([
    ['of a foreign authority', () => foreign.client],
    ['that has expired', () => expired.client],
  ])('with a certificate %s is refused by the server', async (_what, client) => {
    const { cert, key } = client();
    const port = await serve((socket) => void socket.write(Buffer.from([1])));
    expect(await reasonOf(open(port, { files: { ca: pki.client.ca, cert, key } }))).toContain('hung up: it does not take our certificate');
  });

  it('speaks TLS 1.2, and nothing older', async () => {
    const welcome = (socket: TLSSocket): void => void socket.write(Buffer.from([1]));
    const socket = await open(await serve(welcome, { maxVersion: 'TLSv1.2' }));
    expect((socket as TLSSocket).getProtocol()).toBe('TLSv1.2'); // it is one
    socket.destroy();
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    expect(await reasonOf(open(await serve(welcome, old)))).toMatch(/version/i);
  });

  it('needs files that can be read and belong together', async () => {
    const dir = (await testRun()).makeDirectory('bad');
    const nowhere = join(dir, 'nowhere.pem');
    const garbage = join(dir, 'garbage.pem');
    writeFileSync(garbage, 'nothing');
    expect(await reasonOf(open(1, { files: { ...pki.client, ca: nowhere } }))).toContain(`the certificate of the authority can't be read: ENOENT`);
    expect(await reasonOf(open(1, { files: { ...pki.client, cert: nowhere } }))).toContain(`our certificate can't be read: ENOENT`);
    expect(await reasonOf(open(1, { files: { ...pki.client, key: nowhere } }))).toContain(`the key of our certificate can't be read: ENOENT`);
    expect(await reasonOf(open(1, { files: { ...pki.client, cert: garbage } }))).toMatch(/PEM routines/);
    expect(await reasonOf(open(1, { files: { ...pki.client, key: foreign.client.key } }))).toMatch(/key values mismatch/);
  });

  it('with one who does not speak TLS is refused, at the deadline if he says nothing', async () => {
    expect(await reasonOf(open(await listen(createTcpServer((socket) => socket.write('220 hello there\r\n')))))).toContain('wrong version number');
    expect(await reasonOf(open(await listen(createTcpServer((socket) => socket.destroy()))))).toMatch(/does not speak TLS|disconnected|ECONNRESET/);
    expect(await failure(open(await listen(createTcpServer()), { deadlineMs: 50 }))).toBeInstanceOf(DeadlineExceeded);
    expect(await failure(open(await serve(() => undefined), { deadlineMs: 300 }))).toBeInstanceOf(DeadlineExceeded);
  });

  it('can be aborted', async () => {
    const abort = new AbortController();
    const attempt = failure(open(await listen(createTcpServer(() => abort.abort(new Error('enough')))), { signal: abort.signal }));
    expect(await attempt).toMatchObject({ message: 'enough' });
  });
});
