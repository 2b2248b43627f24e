import { execFile } from 'node:child_process';
import { createPublicKey, generateKeyPair, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from './lock.ts';
import { LocalError } from './progress.ts';

/** A host, and what else it is reached by: names or IP addresses. */
export interface PkiHost {
  name: string;
  addresses: readonly string[];
}

/** Certificates for a fleet, below one directory. */
export interface Pki {
  authority: { cert: string; key: string; endsAt: Date };
  /** What belongs into each host's /etc/pki. */
  hosts: readonly { name: string; directory: string; endsAt: Date }[];
  /** The same for a machine that runs NovaCron and no guests; and its files. */
  client: { directory: string; ca: string; cert: string; key: string };
}

export interface PkiOptions {
  /** How long certificates of hosts and of NovaCron are good, in days; the authority's is good for ten years. Default 825. */
  days?: number;
}

/** libvirt may be told to take none but these: a certificate of QEMU's, which guests are nearer to, opens no libvirtd. */
export const LIBVIRT_SUBJECTS = 'O=NovaCron,OU=libvirt,CN=*';

const DAYS = { authority: 3_650, other: 825 } as const;
const NAME = /^(?=.{1,64}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;
const AUTHORITY = ['basicConstraints = critical, CA:TRUE, pathlen:0', 'keyUsage = critical, keyCertSign, cRLSign', 'subjectKeyIdentifier = hash'];
/** keyEncipherment: libvirt 9 insists on it, so keys are RSA (src/rpc/virnettlscontext.c, virNetTLSContextCheckCertKeyUsage). */
const PEER = [
  'basicConstraints = critical, CA:FALSE',
  'keyUsage = critical, digitalSignature, keyEncipherment',
  'subjectKeyIdentifier = hash',
  'authorityKeyIdentifier = keyid',
];

const run = promisify(execFile);
const newKeyPair = promisify(generateKeyPair);

/**
 * Makes the authority, two certificates for each host (libvirt's and QEMU's, each for server and
 * client) and one for NovaCron, laid out as libvirt and QEMU look for them. Again with the same
 * directory: the authority stays, keys stay, the certificates of the hosts that are named are made anew.
 * Throws LocalError for names that are none and when openssl is missing or refuses.
 * Source of the layout: https://libvirt.org/kbase/tlscerts.html and QEMU's docs/system/tls.rst.
 */
export function makePki(directory: string, hosts: readonly PkiHost[], { days = DAYS.other }: PkiOptions = {}): Promise<Pki> {
  for (const host of hosts) checkHost(host);
  if (new Set(hosts.map(({ name }) => name)).size < hosts.length) throw new LocalError('A host is named twice.');
  const dir = resolve(directory);
  return withLock(`pki:${dir}`, async () => {
    const authority = { cert: join(dir, 'ca/cacert.pem'), key: join(dir, 'ca/cakey.pem') };
    await ensureKey(authority.key);
    if (!existsSync(authority.cert)) {
      const signer = ['-key', authority.key];
      writeCertificate([authority.cert], await certificate({ subject: '/O=NovaCron/CN=NovaCron authority', days: DAYS.authority, extensions: AUTHORITY, signer }));
    }
    const issue = async (unit: 'libvirt' | 'qemu', name: string, names: readonly string[], cert: string[], key: string[]): Promise<Date> => {
      await ensureKey(...key);
      const uses = names.length > 0 ? ['extendedKeyUsage = serverAuth, clientAuth', `subjectAltName = ${names.map(altName).join(', ')}`] : ['extendedKeyUsage = clientAuth'];
      const publicKey = createPublicKey(readFileSync(key[0]!)); // every caller names one
      const signer = ['-CA', authority.cert, '-CAkey', authority.key];
      const pem = await certificate({ subject: `/O=NovaCron/OU=${unit}/CN=${name}`, days, extensions: [...PEER, ...uses], signer, publicKey });
      writeCertificate(cert, pem);
      return endOf(pem);
    };
    const ca = readFileSync(authority.cert, 'utf8');

    const clientDirectory = join(dir, 'novacron');
    const client = {
      directory: clientDirectory,
      ca: join(clientDirectory, 'CA/cacert.pem'),
      cert: join(clientDirectory, 'libvirt/clientcert.pem'),
      key: join(clientDirectory, 'libvirt/private/clientkey.pem'),
    };
    writeCertificate([client.ca], ca);
    await issue('libvirt', 'novacron', [], [client.cert], [client.key]);

    const made = hosts.map(async ({ name, addresses }) => {
      const at = (...files: string[]): string[] => files.map((file) => join(dir, 'hosts', name, file));
      const names = [...new Set([name, ...addresses])];
      writeCertificate(at('CA/cacert.pem', 'qemu/ca-cert.pem'), ca);
      const [endsAt] = await Promise.all([
        issue('libvirt', name, names, at('libvirt/servercert.pem', 'libvirt/clientcert.pem'), at('libvirt/private/serverkey.pem', 'libvirt/private/clientkey.pem')),
        issue('qemu', name, names, at('qemu/server-cert.pem', 'qemu/client-cert.pem'), at('qemu/server-key.pem', 'qemu/client-key.pem')),
      ]);
      return { name, directory: join(dir, 'hosts', name), endsAt };
    });
    return { authority: { ...authority, endsAt: endOf(ca) }, hosts: await Promise.all(made), client };
  });
}

function checkHost({ name, addresses }: PkiHost): void {
  if (!NAME.test(name)) throw new LocalError(`${JSON.stringify(name)} is no name of a host.`);
  const wrong = addresses.find((address) => isIP(address) === 0 && !NAME.test(address));
  if (wrong !== undefined) throw new LocalError(`${JSON.stringify(wrong)} is neither an IP address nor a name.`);
}

const altName = (name: string): string => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`;

const endOf = (pem: string): Date => new Date(new X509Certificate(pem).validTo);

/** One key under several names; one that is there stays, whatever happens. */
async function ensureKey(...paths: readonly string[]): Promise<void> {
  const missing = paths.filter((path) => !existsSync(path));
  if (missing.length === 0) return;
  const there = paths.find((path) => existsSync(path));
  const options = { modulusLength: 3_072, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } } as const;
  const pem = there === undefined ? (await newKeyPair('rsa', options)).privateKey : readFileSync(there, 'utf8');
  for (const path of missing) {
    mkdirSync(dirname(dirname(path)), { recursive: true, mode: 0o755 });
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, pem, { mode: 0o600, flag: 'wx' });
  }
}

/** Complete at every moment: a daemon may be reading the one before. */
function writeCertificate(paths: readonly string[], pem: string): void {
  for (const path of paths) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(`${path}.new`, pem, { mode: 0o644 });
    renameSync(`${path}.new`, path);
  }
}

interface Certificate {
  subject: string;
  days: number;
  /** Lines as x509v3_config(5) has them. */
  extensions: readonly string[];
  /** openssl's arguments that say who signs. */
  signer: readonly string[];
  /** Default: the signer's own. */
  publicKey?: KeyObject;
}

/** A signed certificate, PEM. Why openssl makes it: docs/adr/0014. */
async function certificate(want: Certificate): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), 'novacron-pki-'));
  try {
    const extensions = join(work, 'extensions');
    writeFileSync(extensions, `${want.extensions.join('\n')}\n`);
    const publicKey = join(work, 'public-key');
    if (want.publicKey) writeFileSync(publicKey, want.publicKey.export({ type: 'spki', format: 'pem' }));
    const serial = randomBytes(16);
    serial[0] = (serial[0]! & 0x7f) | 0x40; // positive, and of full length: RFC 5280 section 4.1.2.2; there are 16 bytes
    const given = ['-new', '-sha256', '-subj', want.subject, '-days', String(want.days), '-set_serial', `0x${serial.toString('hex')}`];
    return (await run('openssl', ['x509', ...given, '-extfile', extensions, ...want.signer, ...(want.publicKey ? ['-force_pubkey', publicKey] : [])])).stdout;
  } catch (cause) {
    const { code, stderr } = cause as { code?: unknown; stderr?: string }; // execFile's errors carry what was printed
    const why = code === 'ENOENT' ? 'openssl is not installed here: apt-get install openssl' : `openssl refused: ${stderr?.trim()}`;
    throw new LocalError(`The certificate of ${want.subject} was not made: ${why}`, { cause });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
