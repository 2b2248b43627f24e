import { parse, validate } from 'graphql';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOGOUT, PAGES } from '../gateway/account/pages.js';
import { PAGES as LINKS } from '../services/identity/src/mail/templates.ts';
import { startMailServer, type TestMailServer } from '../services/identity/test/mail.ts';
import type { Graph } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { ADMIN } from './kit/people.ts';
import { apiSchema } from './kit/supergraph.ts';

const PASSWORD = 'a password for tests';
const ANOTHER = 'another password for tests';
let mails: TestMailServer;
let system: Embedded;
let browser: Browser;
let page: Page;
/** What the page complained about, and what it asked for. */
const complaints: string[] = [];
const requests: string[] = [];

describe('the pages of links in mails', () => {
  it('are those that mails link to', () => {
    expect(Object.values(LINKS).toSorted()).toEqual(Object.keys(PAGES).map((name) => `account/${name}`).toSorted());
  });

  it.each([...Object.entries(PAGES).map(([name, { document }]) => [name, document] as const), ['logout', LOGOUT] as const])('%s asks this graph', (_name, document) => {
    expect(validate(apiSchema(), parse(document)).map(String)).toEqual([]);
  });
});

describe('in a browser', () => {
  beforeAll(async () => {
    mails = await startMailServer();
    system = await startEmbedded({ NOVACRON_SMTP_URL: mails.options.smtpUrl ?? '', NOVACRON_PUBLIC_URL: 'http://novacron.test' });
    browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
    page = await browser.newPage();
    page.setDefaultTimeout(20_000);
    page.on('console', (message) => message.type() === 'error' && complaints.push(`${message.text()} ${message.location().url}`));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => requests.push(request.url()));
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await system?.close();
    await mails?.stop();
  });

  const register = (email: string): Promise<Graph> => system.graph.run('mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }', { input: { email, name: 'Ada', password: PASSWORD } }).then(({ register: { accessToken } }) => system.graph.as({ token: accessToken }));

  /** Opens the link of a mail, where this system really is. */
  async function follow(email: string, subject: string): Promise<string> {
    const { text, token } = await mails.arrived(email, subject);
    const link = new URL(/http:\S+/.exec(text)?.[0] ?? '');
    expect(link.origin).toBe('http://novacron.test');
    await page.goto(new URL(`${link.pathname}${link.hash}`, system.system.url ?? '').href);
    return token ?? '';
  }
  const outcome = () => page.locator('#outcome');
  const says = (text: string) => outcome().filter({ hasText: text }).waitFor();

  it('an address is confirmed, once somebody says so, and the token is left nowhere', async () => {
    const me = await register('ada@novacron.test');
    const token = await follow('ada@novacron.test', 'Confirm your e-mail address');
    expect((await me.run('{ me { emailVerified } }'))['me'].emailVerified).toBe(false);
    expect(page.url()).not.toContain(token);
    await page.getByRole('button', { name: 'Confirm the address' }).click();
    await says('The address is yours.');
    expect((await me.run('{ me { emailVerified } }'))['me'].emailVerified).toBe(true);
    expect(requests.filter((url) => url.includes(token) && !url.includes(`#token=${token}`))).toEqual([]);
    await follow('ada@novacron.test', 'Confirm your e-mail address');
    await page.getByRole('button', { name: 'Confirm the address' }).click();
    await outcome().filter({ hasText: /link|token/i }).waitFor();
    expect(await outcome().getAttribute('class')).toBe('wrong');
  });

  it('a password is set, by rules that the page passes on, and no session is left behind', async () => {
    await system.graph.run('mutation { requestPasswordReset(email: "ada@novacron.test") }');
    await follow('ada@novacron.test', 'Choose a new password');
    await page.getByLabel('Password').fill('password1');
    await page.getByRole('button').click();
    await outcome().filter({ hasText: /password/i }).waitFor();
    expect(await outcome().getAttribute('class')).toBe('wrong');
    await page.getByLabel('Password').fill(ANOTHER);
    await page.getByRole('button').click();
    await says('Your password is set.');
    const me = system.graph.as(await system.graph.login('ada@novacron.test', ANOTHER));
    expect((await me.run('{ me { sessions { current } } }'))['me'].sessions).toEqual([{ current: true }]);
  });

  it('an invitation is accepted', async () => {
    const admin = system.graph.as(await system.graph.login(ADMIN.email, ADMIN.password));
    const { tenants } = await admin.run('{ tenants { edges { node { id } } } }');
    await admin.run('mutation ($input: InviteUserInput!) { inviteUser(input: $input) { id } }', {
      input: { email: 'grace@novacron.test', name: 'Grace', role: 'viewer', tenantId: tenants.edges[0].node.id },
    });
    await follow('grace@novacron.test', 'You are invited to NovaCron');
    await page.getByLabel('Your name').fill('Grace Hopper');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Accept' }).click();
    await says('Welcome.');
    const me = system.graph.as(await system.graph.login('grace@novacron.test', PASSWORD));
    expect((await me.run('{ me { name } }'))['me'].name).toBe('Grace Hopper');
  });

  it('a link without its token says so, and nothing that is not there is a page', async () => {
    await page.goto(new URL('/account/verify-email', system.system.url ?? '').href);
    await page.getByText('This link is incomplete').waitFor();
    expect(await page.getByRole('button').count()).toBe(0);
    const paths = ['/account/', '/account/nothing', '/account/index.html', '/account/pages.d.ts', '/account/..%2fpackage.json'];
    const answers = await Promise.all(paths.map(async (path) => (await fetch(new URL(path, system.system.url ?? ''))).status));
    expect(answers).toEqual(paths.map(() => 404));
  });

  it('nobody can frame them, and they ask nobody else', async () => {
    const response = await fetch(new URL('/account/reset-password', system.system.url ?? ''));
    expect(response.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(response.headers.get('x-frame-options')).toBe('DENY');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    const { host } = new URL(system.system.url ?? '');
    expect(requests.filter((url) => new URL(url).host !== host)).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
