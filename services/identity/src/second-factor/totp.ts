import { Secret, TOTP } from 'otpauth';
import { renderSVG } from 'uqr';

/** Codes of an authenticator (RFC 6238), in the only form that all of them know: SHA-1, six digits, 30 seconds. */

const ISSUER = 'NovaCron';
const STEP_MS = 30_000;
/** A clock may be this many steps off, either way: RFC 6238, 5.2 and 6. */
const DRIFT_STEPS = 1;
/** As long as the hash: RFC 4226, 4, R6. */
const SECRET_BYTES = 20;

const DIGITS = /^\d{6}$/;

/** Is this of the form of an authenticator's code, rather than of a backup code? People type it with a space in it. */
export const isTotpCode = (code: string): boolean => DIGITS.test(plain(code));

export const newSecret = (): Buffer<ArrayBuffer> => Buffer.from(new Secret({ size: SECRET_BYTES }).bytes);

/** The time step whose code this is, of those that may be now; null for none. `at` is the moment that it is shown. */
export function stepOf(secret: Uint8Array<ArrayBuffer>, code: string, at: Date): bigint | null {
  if (!isTotpCode(code)) return null; // otpauth throws for six characters of more than six bytes
  const timestamp = at.getTime();
  const totp = totpOf(secret, '');
  const drift = totp.validate({ token: plain(code), timestamp, window: DRIFT_STEPS });
  return drift === null ? null : BigInt(Math.floor(timestamp / STEP_MS) + drift);
}

/** What an authenticator is given: to be typed, opened or scanned. */
export interface Enrollment {
  /** Base32. */
  secret: string;
  otpauthUri: string;
  qrCodeSvg: string;
}

export function enrollmentOf(secret: Uint8Array<ArrayBuffer>, account: string): Enrollment {
  const totp = totpOf(secret, account);
  const otpauthUri = totp.toString();
  return { secret: totp.secret.base32, otpauthUri, qrCodeSvg: renderSVG(otpauthUri) };
}

const plain = (code: string): string => code.replaceAll(' ', '');

const totpOf = (secret: Uint8Array<ArrayBuffer>, label: string): TOTP =>
  // a copy: a Buffer may be a part of a larger pool
  new TOTP({ issuer: ISSUER, label, secret: new Secret({ buffer: Uint8Array.from(secret).buffer }), algorithm: 'SHA1', digits: 6, period: STEP_MS / 1000 });
