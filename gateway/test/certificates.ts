import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TlsFiles } from '../src/http/certificate.ts';

const run = promisify(execFile);
const DAY_MS = 86_400_000;

/** What `openssl ca` wants to know before it signs; unlike `openssl req` of version 3.0, it takes dates. */
const CONFIG = `
[ca]
default_ca = authority
[authority]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = names
unique_subject = no
[names]
commonName = supplied
[authority_extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
`;

export interface CertificateOptions {
  /** DNS:... and IP:...; default: this machine, as tests call it. */
  names?: string;
  /** Days from now; default: yesterday and in 90 days. */
  from?: number;
  until?: number;
  /** Who signs it; default: itself. */
  issuer?: TlsFiles;
  isAuthority?: boolean;
  /** As `openssl genpkey` has it; default: P-256. */
  key?: readonly string[];
}

export const temporaryDirectory = (): string => mkdtempSync(join(tmpdir(), 'novacron-tls-'));

/** A certificate and its key, made by openssl. */
export async function makeCertificate(name: string, options: CertificateOptions = {}): Promise<TlsFiles> {
  const { names = 'DNS:localhost,IP:127.0.0.1,IP:::1', from = -1, until = 90, issuer, isAuthority = false, key = ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'] } = options;
  const cwd = temporaryDirectory();
  const openssl = (...args: string[]) => run('openssl', args, { cwd });
  const time = (days: number): string => `${new Date(Date.now() + days * DAY_MS).toISOString().replace(/\D/g, '').slice(0, 14)}Z`;
  writeFileSync(join(cwd, 'config'), `${CONFIG}[server_extensions]\nbasicConstraints = CA:FALSE\nsubjectAltName = ${names}\n`);
  writeFileSync(join(cwd, 'index.txt'), '');
  const files = { cert: join(cwd, 'cert.pem'), key: join(cwd, 'key.pem') };
  await openssl('genpkey', '-algorithm', ...key, '-out', files.key);
  await openssl('req', '-new', '-key', files.key, '-subj', `/CN=${name}`, '-out', 'request.pem');
  const signer = issuer ? ['-cert', issuer.cert, '-keyfile', issuer.key] : ['-selfsign', '-keyfile', files.key];
  const extensions = isAuthority ? 'authority_extensions' : 'server_extensions';
  await openssl('ca', '-batch', '-notext', '-config', 'config', '-extensions', extensions, '-startdate', time(from), '-enddate', time(until), ...signer, '-in', 'request.pem', '-out', files.cert);
  return files;
}
