import { constants, createHash, type X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { SecureContextOptions, Server, TlsOptions } from 'node:tls';
import { DomainError } from '@novacron/core';
import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import { checkPair, describeCertificate, type Pem, type TlsFiles } from './certificate.ts';

/** TLS 1.2 with forward secrecy and authenticated encryption, and 1.3, which knows nothing else: RFC 9325, section 4.2. */
const SECURITY: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION, // nobody needs it, and it lets a client make us work
};

/** Node would wait two minutes for a client that connects and is silent. */
const HANDSHAKE_MS = 10_000;
/** How often the files are looked at. By their content: what tells of changes misses some, or differs from link to link. */
const LOOK_EVERY_MS = 1_000;
const DAY_MS = 86_400_000;

/** The certificate in use, which follows its files. */
export interface Tls {
  /** For https.createServer: the pair that was in the files at the start. */
  readonly options: TlsOptions;
  /** Is the certificate in use one for this name or IP address? */
  isFor(host: string): boolean;
  /** Gives the server each pair that replaces the one before. Connections that are open keep theirs, and stay. */
  follow(server: Pick<Server, 'setSecureContext'>): void;
  close(): void;
}

/**
 * Reads a certificate and its key. Fails with BAD_USER_INPUT and one sentence when clients could not be served with them. Files that
 * change later are taken up within seconds; a pair that is no good is refused then, and the one before stays.
 */
export async function openTls(files: TlsFiles, registry: Registry, logger: Logger): Promise<Tls> {
  const first = await readPair(files);
  let inUse: X509Certificate = checkPair(files, first);
  let used = markOf(first);
  /** What the last look found, and what was found no good. */
  let seen = used;
  let refused: string | null = null;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const reloads = new Counter({
    name: 'novacron_tls_reloads_total',
    help: 'Certificates that replaced the one before, or were refused.',
    labelNames: ['outcome'] as const,
    registers: [registry],
  });
  for (const outcome of ['ok', 'refused'] as const) reloads.inc({ outcome }, 0);
  const daysLeft: Gauge = new Gauge({
    name: 'novacron_tls_certificate_days_left',
    help: 'Until the certificate in use expires; negative once it has.',
    registers: [registry],
    collect: () => void daysLeft.set((inUse.validToDate.getTime() - Date.now()) / DAY_MS),
  });

  async function look(server: Pick<Server, 'setSecureContext'>): Promise<void> {
    const found = await readPair(files).catch((error: unknown) => DomainError.from(error));
    const mark = found instanceof DomainError ? found.message : markOf(found);
    // Who replaces two files does it one after the other: what counts is what two looks have found.
    const isSettled = mark === seen;
    seen = mark;
    if (!isSettled || mark === used || isClosed) return;
    try {
      if (found instanceof DomainError) throw found;
      inUse = checkPair(files, found);
      server.setSecureContext({ ...SECURITY, ...found });
      [used, refused] = [mark, null];
      reloads.inc({ outcome: 'ok' });
      logger.info({ certificate: describeCertificate(inUse) }, 'a new certificate is in use');
    } catch (err) {
      // Said once, tried at every look: one that is not valid yet will be.
      if (mark === refused) return;
      refused = mark;
      reloads.inc({ outcome: 'refused' });
      logger.error({ err }, 'a new certificate is refused, the one before stays in use');
    }
  }

  return {
    options: { ...SECURITY, ...first, handshakeTimeout: HANDSHAKE_MS },
    isFor: (host) => (isIP(host) === 0 ? inUse.checkHost(host) : inUse.checkIP(host)) !== undefined,
    follow(server) {
      const next = (): void => {
        if (isClosed) return;
        timer = setTimeout(() => void look(server).finally(next), LOOK_EVERY_MS).unref();
      };
      next();
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/** Both files, following links. */
async function readPair(files: TlsFiles): Promise<Pem> {
  const read = async (what: string, file: string): Promise<Buffer> => {
    try {
      return await readFile(file);
    } catch (cause) {
      const why = (cause as NodeJS.ErrnoException).code; // node:fs rejects with nothing else
      throw new DomainError('BAD_USER_INPUT', `The ${what} in ${file} can't be read: ${why}.`, { cause });
    }
  };
  const [cert, key] = await Promise.all([read('certificate', files.cert), read('private key', files.key)]);
  return { cert, key };
}

const markOf = ({ cert, key }: Pem): string => createHash('sha256').update(cert).update('\0').update(key).digest('hex');
