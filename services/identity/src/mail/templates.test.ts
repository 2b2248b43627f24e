import { describe, expect, it } from 'vitest';
import type { MailKind, Mails } from './mails.ts';
import { writeMail } from './templates.ts';

const EVIL = '<script>alert("x")</script> visit http://evil.example or evil.example\r\nBcc: victim@example.org';
const TOKEN = 'tok/en+"&<';
const AT = new Date('2026-11-20T09:05:00Z');

const MAILS: { [Kind in MailKind]: Mails[Kind] } = {
  verify_email: { name: EVIL, token: TOKEN },
  already_registered: { name: EVIL, address: '192.0.2.1' },
  reset_password: { name: EVIL, token: TOKEN },
  invitation: { name: EVIL, token: TOKEN, tenant: EVIL, invitedBy: EVIL },
  change_email: { name: EVIL, token: TOKEN },
  email_changed: { name: EVIL, email: EVIL, address: '192.0.2.1', at: AT },
  new_device: { name: EVIL, address: '192.0.2.1', device: EVIL, at: AT },
  password_changed: { name: EVIL, address: null, at: AT },
  second_factor_changed: { name: EVIL, change: 'enabled', address: null, at: AT },
  backup_code_used: { name: EVIL, left: 1, address: null, device: EVIL, at: AT },
  api_token_created: { name: EVIL, called: EVIL, prefix: 'nc_abc123', address: '192.0.2.1', at: AT },
  quota_near_end: { name: EVIL, tenant: EVIL, resource: 'vms', used: '19', limit: '20' },
};
const stored = (content: unknown): unknown => JSON.parse(JSON.stringify(content));
const written = (kind: string, content: unknown = MAILS[kind as MailKind]) => writeMail(kind, stored(content), 'https://cloud.example.org/nova');

describe.each(Object.keys(MAILS))('%s', (kind) => {
  const { subject, text, html } = written(kind);

  it('says the same in HTML and in text, with its link in both', () => {
    expect(subject).not.toBe('');
    const readable = html.replaceAll(/<title>.*<\/title>|<[^>]+>/g, ' ').replaceAll('&#39;', "'").replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
    for (const line of text.split('\n').filter((one) => one.length > 20 && !one.includes(': '))) expect(readable).toContain(line.replace(/:$/, ''));
  });

  it('holds no markup, line, header or link of anybody else', () => {
    expect(html).not.toContain('<script');
    expect(html + text).not.toContain('http://evil');
    expect(html + text).not.toContain('evil.example');
    expect(html + text).not.toContain('victim@');
    expect(subject + text).not.toContain('\r');
    expect(subject).not.toMatch(/[\r\n]/);
    const links = [...html.matchAll(/(?:href|src|action)="([^"]*)"/g)].map(([, url]) => url);
    expect(links.every((url) => url?.startsWith('https://cloud.example.org/nova/account/'))).toBe(true);
  });
});

describe('links', () => {
  it('carry the token in the fragment, which no server sees', () => {
    const { text } = written('reset_password');
    const url = new URL(/https:\S+/.exec(text)![0]); // a mail with a link
    expect(url.pathname).toBe('/nova/account/reset-password');
    expect(url.search).toBe('');
    expect(decodeURIComponent(url.hash)).toBe(`#token=${TOKEN}`);
  });

  it('stand before nothing that the one who registered typed', () => {
    expect(written('verify_email', { name: 'Buy now', token: 'x' }).text).not.toContain('Buy now');
  });
});

it('writes moments for people', () => {
  expect(written('new_device').text).toContain('When: 20 November 2026 at 09:05 UTC');
});

it('says each change of a second factor', () => {
  const subjects = (['enabled', 'disabled', 'codes_renewed', 'reset_by_administrator'] as const).map((change) => written('second_factor_changed', { ...MAILS.second_factor_changed, change }).subject);
  expect(new Set(subjects).size).toBe(4);
});

it.each(['no_such_mail', 'constructor', '__proto__', 'toString'])('knows no mail %j', (kind) => {
  expect(() => writeMail(kind, {}, 'https://cloud.example.org')).toThrow('knows no mail');
});
