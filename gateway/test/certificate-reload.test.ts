import { once } from 'node:events';
import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { connect } from 'node:tls';
import { eventually } from '@novacron/testkit';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { TlsFiles } from '../src/http/certificate.ts';
import { openTls, type Tls } from '../src/http/tls.ts';
import { makeCertificate, temporaryDirectory } from './certificates.ts';

let first: TlsFiles;
let second: TlsFiles;
let expired: TlsFiles;
const opened: { server: Server; tls: Tls }[] = [];

beforeAll(async () => {
  [first, second, expired] = await Promise.all([makeCertificate('first'), makeCertificate('second'), makeCertificate('expired', { from: -9, until: -2 })]);
});
afterAll(() => {
  for (const { server, tls } of opened) {
    tls.close();
    server.close();
  }
});

/** A server with the pair in these files: what a client is shown, and what the metrics say. */
async function serve(files: TlsFiles) {
  const registry = new Registry();
  const errors: string[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => void errors.push((JSON.parse(line) as { err: { message: string } }).err.message) });
  const tls = await openTls(files, registry, logger);
  const server = createServer(tls.options);
  opened.push({ server, tls });
  tls.follow(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const shown = async (): Promise<string | undefined> => {
    const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { subject } = socket.getPeerX509Certificate() ?? {};
    socket.destroy();
    return subject;
  };
  const metric = async (name: string): Promise<number> => {
    const line = (await registry.metrics()).split('\n').find((text) => text.startsWith(`${name} `));
    return Number(line?.slice(name.length));
  };
  return {
    errors,
    shown,
    refusals: () => metric('novacron_tls_reloads_total{outcome="refused"}'),
    replacements: () => metric('novacron_tls_reloads_total{outcome="ok"}'),
    daysLeft: () => metric('novacron_tls_certificate_days_left'),
    becomes: (name: string) => eventually(`the certificate of ${name}`, async () => (await shown()) === `CN=${name}`),
  };
}

/** Both files in a directory, named as Kubernetes names them. */
function put({ cert, key }: TlsFiles, directory: string): TlsFiles {
  mkdirSync(directory, { recursive: true });
  const files = { cert: join(directory, 'tls.crt'), key: join(directory, 'tls.key') };
  cpSync(cert, files.cert);
  cpSync(key, files.key);
  return files;
}

function replaceLink(target: string, link: string): void {
  symlinkSync(target, `${link}.new`);
  renameSync(`${link}.new`, link);
}

describe.concurrent('a new certificate is taken up', () => {
  it('when files are written in place', async ({ expect }) => {
    const files = put(first, temporaryDirectory());
    const server = await serve(files);
    expect(await server.shown()).toBe('CN=first');
    writeFileSync(files.cert, readFileSync(second.cert));
    writeFileSync(files.key, readFileSync(second.key));
    await server.becomes('second');
    expect([await server.replacements(), await server.refusals()]).toEqual([1, 0]);
  });

  it('when files are renamed over them', async ({ expect }) => {
    const files = put(first, temporaryDirectory());
    const server = await serve(files);
    const fresh = put(second, join(dirname(files.cert), 'fresh'));
    renameSync(fresh.key, files.key);
    renameSync(fresh.cert, files.cert);
    await server.becomes('second');
    expect([await server.replacements(), await server.refusals()]).toEqual([1, 0]);
  });

  it('behind links to links, as certbot makes them', async ({ expect }) => {
    const root = temporaryDirectory();
    put(first, join(root, 'archive/1'));
    put(second, join(root, 'archive/2'));
    mkdirSync(join(root, 'live'));
    const names = ['tls.crt', 'tls.key'];
    for (const name of names) {
      symlinkSync(join('../archive/1', name), join(root, 'live', name));
      symlinkSync(join(root, 'live', name), join(root, name));
    }
    const server = await serve({ cert: join(root, 'tls.crt'), key: join(root, 'tls.key') });
    expect(await server.shown()).toBe('CN=first');
    for (const name of names) replaceLink(join('../archive/2', name), join(root, 'live', name));
    await server.becomes('second');
  });

  it('behind a directory that is swapped, as Kubernetes does', async ({ expect }) => {
    const root = temporaryDirectory();
    put(first, join(root, '..2026_1'));
    put(second, join(root, '..2026_2'));
    symlinkSync('..2026_1', join(root, '..data'));
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(join('..data', name), join(root, name));
    const server = await serve({ cert: join(root, 'tls.crt'), key: join(root, 'tls.key') });
    expect(await server.shown()).toBe('CN=first');
    replaceLink('..2026_2', join(root, '..data'));
    rmSync(join(root, '..2026_1'), { recursive: true });
    await server.becomes('second');
  });
});

describe.concurrent('a pair that is no good is refused once, and the one before stays,', () => {
  it.for<[what: string, bad: () => TlsFiles | null, message: RegExp]>([
    ['of two that do not belong together', () => ({ cert: second.cert, key: first.key }), /does not belong to the key/],
    ['that has expired', () => expired, /good from .* until .* has expired/],
    ['that is half written', () => ({ cert: second.key, key: second.key }), /There is no certificate/],
    ['that is not there', () => null, /can't be read: ENOENT/],
  ])('%s', async ([_what, bad, message], { expect }) => {
    const files = put(first, temporaryDirectory());
    const server = await serve(files);
    expect(await server.daysLeft()).toBeCloseTo(90, 0);
    const pair = bad();
    if (pair) put(pair, dirname(files.cert));
    else rmSync(files.key);
    await eventually('the refusal', async () => (await server.refusals()) === 1);
    expect(await server.shown()).toBe('CN=first');
    put(second, dirname(files.cert));
    await server.becomes('second');
    expect([await server.replacements(), await server.refusals()]).toEqual([1, 1]);
    expect(server.errors).toEqual([expect.stringMatching(message)]);
  });
});
