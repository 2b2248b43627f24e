import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { DomainError } from '@novacron/core';

/** PEM files: the certificate with its chain behind it, and its private key. */
export interface TlsFiles {
  cert: string;
  key: string;
}

/** What the two files hold. */
export interface Pem {
  cert: Buffer;
  key: Buffer;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs;

const refusal = (message: string, cause?: unknown) => new DomainError('BAD_USER_INPUT', message, { cause });
const toSeconds = (date: Date): string => date.toISOString().replace(/\.\d+/, '');

/** For people: whose it is, and from when until when. */
export function describeCertificate({ subject, subjectAltName, validFromDate, validToDate }: X509Certificate): string {
  const name = (subject || subjectAltName || 'nobody').replaceAll('\n', ', '); // Node's types promise a subject, which SAN alone may replace
  return `${name}, good from ${toSeconds(validFromDate)} until ${toSeconds(validToDate)}`;
}

/**
 * The server's own certificate, once it is certain that clients can be served with it: readable, in date, and the key's.
 * Fails with BAD_USER_INPUT and one sentence that names the file at fault and, where there is a certificate, its dates.
 */
export function checkPair(files: TlsFiles, pem: Pem, now = new Date()): X509Certificate {
  const chain = readChain(files.cert, pem.cert);
  const key = readKey(files.key, pem.key);
  const [leaf] = chain;
  const described = `The certificate in ${files.cert} (${describeCertificate(leaf)})`;
  if (!leaf.checkPrivateKey(key)) {
    const isLater = chain.some((certificate) => certificate.checkPrivateKey(key));
    throw refusal(isLater ? `${described} is not the key's own, which stands further down: it must be the first.` : `${described} does not belong to the key in ${files.key}.`);
  }
  if (leaf.validFromDate > now) throw refusal(`${described} is not valid yet.`);
  if (leaf.validToDate < now) throw refusal(`${described} has expired.`);
  try {
    createSecureContext(pem);
  } catch (cause) {
    throw refusal(`${described} is refused by OpenSSL: ${(cause as Error).message}.`, cause); // it throws nothing else
  }
  return leaf;
}

function readChain(file: string, pem: Buffer): [X509Certificate, ...X509Certificate[]] {
  try {
    const [leaf, ...others] = (pem.toString('latin1').match(CERTIFICATE) ?? []).map((text) => new X509Certificate(text));
    if (leaf) return [leaf, ...others];
  } catch (cause) {
    throw refusal(`A certificate in ${file} can't be read.`, cause);
  }
  throw refusal(`There is no certificate in ${file}: it has to be PEM.`);
}

function readKey(file: string, pem: Buffer): KeyObject {
  if (/ENCRYPTED/.test(pem.toString('latin1'))) {
    throw refusal(`The private key in ${file} is encrypted, and nobody is there to be asked for its passphrase: openssl pkey -in FILE -out FILE takes it off.`);
  }
  try {
    return createPrivateKey({ key: pem, format: 'pem' });
  } catch (cause) {
    throw refusal(`There is no private key in ${file}: it has to be PEM.`, cause);
  }
}
