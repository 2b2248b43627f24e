import { createHash } from 'node:crypto';
import { checkSshKey } from '@novacron/contracts';
import { DomainError } from '@novacron/core';

/** What a public key of SSH is: no clock, no database. */

export interface SshPublicKey {
  /** A line of authorized_keys, without options. */
  publicKey: string;
  /** As `ssh-keygen -l` says it. */
  fingerprint: string;
  /** What stands behind the key; null for nothing. */
  comment: string | null;
}

const FIELD = 'publicKey';
/** NIST SP 800-131A revision 2, 3: shorter ones are disallowed. */
const RSA_MIN_BITS = 2048;
const ED25519_BYTES = 32;
/** Uncompressed points (SEC 1, 2.3.3): all that OpenSSH writes. */
const POINT_BYTES: Record<string, number> = { nistp256: 65, nistp384: 97, nistp521: 133 };

const refuse = (message: string) => new DomainError('BAD_USER_INPUT', message, { field: FIELD });

/** What somebody pasted. BAD_USER_INPUT (publicKey) for what is no public key, or one that is too weak. */
export function parseSshPublicKey(text: string): SshPublicKey {
  const [type = '', encoded = '', ...rest] = checkSshKey(text.trim(), FIELD).split(/ +/);
  const blob = Buffer.from(encoded, 'base64');
  requireSound(type, partsOf(blob));
  const comment = rest.join(' ').trim() || null;
  const fingerprint = `SHA256:${createHash('sha256').update(blob).digest('base64').replaceAll('=', '')}`;
  return { publicKey: [type, encoded, ...(comment === null ? [] : [comment])].join(' '), fingerprint, comment };
}

/** RFC 4251, 5: a string is its length in four bytes, and as many bytes. Null where they do not come out even. */
function partsOf(blob: Buffer): Buffer[] | null {
  const parts: Buffer[] = [];
  for (let at = 0; at < blob.length; ) {
    if (at + 4 > blob.length) return null;
    const end = at + 4 + blob.readUInt32BE(at);
    if (end > blob.length) return null;
    parts.push(blob.subarray(at + 4, end));
    at = end;
  }
  return parts;
}

/**
 * Sources: RFC 4253, 6.6 (RSA); RFC 5656, 3.1 (ECDSA); RFC 8709, 4 (Ed25519);
 * https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.u2f (sk-*: the same with an application behind it).
 */
function requireSound(type: string, parts: Buffer[] | null): void {
  const [, first, second, ...more] = parts ?? [];
  const curve = /nistp\d+/.exec(type)?.[0];
  const applications = type.startsWith('sk-') ? 1 : 0;
  if (type === 'ssh-rsa') {
    if (first === undefined || second === undefined || more.length > 0) throw refuse('This is no public key of the type ssh-rsa.');
    const bits = BigInt(`0x0${second.toString('hex')}`).toString(2).length;
    if (bits < RSA_MIN_BITS) throw refuse(`This RSA key has ${bits} bits: it needs at least ${RSA_MIN_BITS}.`);
    return;
  }
  const isSound =
    curve === undefined
      ? first?.length === ED25519_BYTES && parts?.length === 2 + applications
      : first?.toString('latin1') === curve && second?.length === POINT_BYTES[curve] && second?.[0] === 4 && parts?.length === 3 + applications;
  if (!isSound) throw refuse(`This is no public key of the type ${type}.`);
}
