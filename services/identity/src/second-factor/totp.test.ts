import { describe, expect, it } from 'vitest';
import { enrollmentOf, isTotpCode, newSecret, stepOf } from './totp.ts';

/** RFC 6238, appendix B, for SHA-1; the last six of its eight digits. */
const RFC_SECRET = Buffer.from('12345678901234567890');
const RFC_CODES: [seconds: number, code: string][] = [
  [59, '287082'],
  [1111111109, '081804'],
  [1111111111, '050471'],
  [1234567890, '005924'],
  [2000000000, '279037'],
  [20000000000, '353130'],
];

describe('the code of a moment', () => {
  it.each(RFC_CODES)('at %i s is %s, as the RFC has it', (seconds, code) => {
    const step = BigInt(Math.floor(seconds / 30));
    const at = (drift: number) => new Date((seconds + drift * 30) * 1000);
    expect([-2, -1, 0, 1, 2].map((drift) => stepOf(RFC_SECRET, code, at(drift)))).toEqual([null, step, step, step, null]);
  });

  it('may have a space in it', () => expect(stepOf(RFC_SECRET, ' 287 082', new Date(59_000))).toBe(1n));

  it.each(['', '28708', '2870822', '28708a', '２８７０８２', '-87082', '287082\u0000', '287082\n'])('is never %j', (code) => {
    expect(isTotpCode(code)).toBe(false);
    expect(stepOf(RFC_SECRET, code, new Date(59_000))).toBeNull();
  });

  it('is another one under another secret', () => {
    expect(newSecret()).toHaveLength(20);
    expect(newSecret()).not.toEqual(newSecret());
    expect(stepOf(RFC_SECRET.subarray(1), '287082', new Date(59_000))).toBeNull();
  });
});

describe('an enrollment', () => {
  it('says the same in three ways', () => {
    const { secret, otpauthUri, qrCodeSvg } = enrollmentOf(RFC_SECRET, 'a+b@example.org');
    expect(secret).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
    const uri = new URL(otpauthUri);
    expect(decodeURIComponent(uri.pathname)).toContain('NovaCron:a+b@example.org');
    expect(Object.fromEntries(uri.searchParams)).toEqual({ issuer: 'NovaCron', secret, algorithm: 'SHA1', digits: '6', period: '30' });
    expect(qrCodeSvg).toMatch(/^<svg [^>]*>.*<\/svg>$/s);
  });

  it('holds no markup of the account', () => expect(enrollmentOf(RFC_SECRET, '"><script>@example.org').qrCodeSvg).not.toContain('script'));
});
