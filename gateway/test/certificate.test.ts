import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DomainError } from '@novacron/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkPair, type TlsFiles } from '../src/http/certificate.ts';
import { makeCertificate, temporaryDirectory } from './certificates.ts';

const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
const check = (files: TlsFiles, now?: Date) => checkPair(files, { cert: readFileSync(files.cert), key: readFileSync(files.key) }, now);
/** The sentence that refuses them. */
function refusal(files: TlsFiles, now?: Date): string {
  try {
    check(files, now);
  } catch (error) {
    if (error instanceof DomainError && error.code === 'BAD_USER_INPUT') return error.message;
    throw error;
  }
  throw new Error('It was taken.');
}
function write(...contents: (string | Buffer)[]): string {
  const file = join(temporaryDirectory(), 'file.pem');
  writeFileSync(file, contents.map(String).join(''));
  return file;
}

let one: TlsFiles;
let other: TlsFiles;
beforeAll(async () => {
  [one, other] = await Promise.all([makeCertificate('one.example'), makeCertificate('other.example')]);
});

/** As openssl says it. */
const dates = (): { from: string; until: string } => {
  const [from = '', until = ''] = openssl('x509', '-in', one.cert, '-noout', '-startdate', '-enddate').trim().split('\n');
  const toIso = (line: string): string => new Date(line.slice(line.indexOf('=') + 1)).toISOString().replace('.000', '');
  return { from: toIso(from), until: toIso(until) };
};

describe('a pair is taken', () => {
  it('in date, and of any kind of key that servers have', async () => {
    expect(check(one).subject).toBe('CN=one.example');
    const rsa = await makeCertificate('rsa.example', { key: ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'] });
    expect(check(rsa).subject).toBe('CN=rsa.example');
    const traditional = write(openssl('pkey', '-in', rsa.key, '-traditional'));
    expect(check({ ...rsa, key: traditional }).subject).toBe('CN=rsa.example');
  });

  it('with the chain behind it, and text between', () => {
    expect(check({ ...one, cert: write('one\n', readFileSync(one.cert), 'its issuer\n', readFileSync(other.cert)) }).subject).toBe('CN=one.example');
  });
});

describe('a pair is refused, with its dates,', () => {
  it('that has expired', () => {
    const { from, until } = dates();
    expect(refusal(one, new Date(Date.now() + 91 * 86_400_000))).toBe(`The certificate in ${one.cert} (CN=one.example, good from ${from} until ${until}) has expired.`);
  });
  it('that is not valid yet', () => {
    const { from, until } = dates();
    expect(refusal(one, new Date(Date.now() - 2 * 86_400_000))).toBe(`The certificate in ${one.cert} (CN=one.example, good from ${from} until ${until}) is not valid yet.`);
  });
  it('whose key is of another', () => {
    const { from, until } = dates();
    expect(refusal({ ...one, key: other.key })).toBe(`The certificate in ${one.cert} (CN=one.example, good from ${from} until ${until}) does not belong to the key in ${other.key}.`);
  });
  it('whose chain stands before it', () => {
    expect(refusal({ ...one, cert: write(readFileSync(other.cert), readFileSync(one.cert)) })).toMatch(/CN=other\.example, good from .* is not the key's own, which stands further down/);
  });
  it('whose key is too short for OpenSSL', async () => {
    expect(refusal(await makeCertificate('short.example', { key: ['RSA', '-pkeyopt', 'rsa_keygen_bits:1024'] }))).toMatch(/CN=short\.example, good from .* is refused by OpenSSL: .*key too small/);
  });
});

describe('files are refused', () => {
  it.each([
    ['PKCS#8', ['-aes-256-cbc']],
    ['the older way', ['-aes-256-cbc', '-traditional']],
  ])('with a key that is encrypted, %s', (_what, how) => {
    const key = write(openssl('pkey', '-in', one.key, ...how, '-passout', 'pass:secret'));
    expect(refusal({ ...one, key })).toMatch(`The private key in ${key} is encrypted`);
  });
  it('without a certificate', () => {
    expect(refusal({ ...one, cert: one.key })).toBe(`There is no certificate in ${one.key}: it has to be PEM.`);
    const der = join(temporaryDirectory(), 'cert.der');
    openssl('x509', '-in', one.cert, '-outform', 'DER', '-out', der);
    expect(refusal({ ...one, cert: der })).toBe(`There is no certificate in ${der}: it has to be PEM.`);
  });
  it('without a key', () => {
    expect(refusal({ ...one, key: one.cert })).toBe(`There is no private key in ${one.cert}: it has to be PEM.`);
  });
  it('with half a certificate', () => {
    const whole = readFileSync(one.cert, 'utf8').split('\n');
    const cert = write(whole.toSpliced(3, 2).join('\n'));
    expect(refusal({ ...one, cert })).toBe(`A certificate in ${cert} can't be read.`);
  });
});
