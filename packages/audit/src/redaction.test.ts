import { describe, expect, it } from 'vitest';
import { REDACTED, redacted } from './redaction.ts';

describe('redacted', () => {
  it.each(['password', 'newPassword', 'currentPassword', 'code', 'token', 'secret', 'refreshToken', 'accessToken', 'passphrase', 'userData', 'backupCodes', 'privateKey'])(
    'hides %s, however deep',
    (name) => {
      expect(redacted({ [name]: 'canary' })).toEqual({ [name]: REDACTED });
      expect(JSON.stringify(redacted({ input: { list: [{ [name]: ['canary', { a: 'canary' }] }] } }))).not.toContain('canary');
    },
  );

  it.each([
    ['https://user:canary@example.org/a.img', `https://${REDACTED}@example.org/a.img`],
    ['https://canary@example.org', `https://${REDACTED}@example.org`],
    ['https://example.org/a?signature=canary#x', `https://example.org/a?${REDACTED}#x`],
    ['qemu+tls://host/system', 'qemu+tls://host/system'],
    ['mail@example.org', 'mail@example.org'],
  ])('%s', (url, written) => expect(redacted({ url })).toEqual({ url: written }));

  it('hides by which name somebody came where nobody has shown whose it is', () => {
    const input = { email: 'a password in the wrong field', code: '123456' };
    expect(redacted({ input }, { names: false })).toEqual({ input: { email: REDACTED, code: REDACTED } });
    expect(redacted({ input: { email: 'ada@example.org' } })).toEqual({ input: { email: 'ada@example.org' } });
  });

  it('leaves what is no secret', () => {
    const input = { name: 'web', vcpus: 2, start: true, tags: ['a'], nothing: null, tokens: 3, at: new Date(0), size: 2n };
    expect(redacted(input)).toEqual({ ...input, at: '1970-01-01T00:00:00.000Z', size: '2' });
  });

  it('keeps no more than can be read, and nothing that PostgreSQL refuses', () => {
    expect(redacted({ text: 'x'.repeat(10_000) })).toEqual({ text: 'x'.repeat(500) });
    expect(redacted({ list: Array.from({ length: 1_000 }, () => 'x'.repeat(500)) })).toEqual({ truncated: true });
    expect(redacted({ text: 'a\0b\uD800' })).toEqual({ text: 'ab\uFFFD' });
    const deep = Array.from({ length: 100 }).reduce((inner) => ({ inner }), 'end');
    expect(JSON.stringify(redacted(deep))).toContain('[deeper]');
  });

  it('can not be talked into changing what all objects have', () => {
    const sent: unknown = JSON.parse('{"__proto__": {"polluted": true}, "a": 1}');
    redacted(sent);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});
