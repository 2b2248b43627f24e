import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { secretsOf } from '@novacron/secrets';
import { eventually } from '@novacron/testkit';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { IdentityContext } from '../src/graphql/context.ts';
import type { NewMail } from '../src/mail/mails.ts';
import type { IdentityService } from '../src/service.ts';
import { login, makeTenant, member as memberOf, startIdentity, type TestIdentity } from './identity.ts';
import { startMailServer, type TestMailServer } from './mail.ts';

const MINUTE_MS = 60_000;
const lines: string[] = [];
const logger = pino(new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) }));
const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close();
  lines.length = 0;
});

async function started({ credentials, ...options }: { credentials?: { user: string; password: string } } & Parameters<typeof startIdentity>[0] = {}): Promise<{ identity: TestIdentity; server: TestMailServer }> {
  const server = await startMailServer(credentials ? { credentials } : {});
  opened.push({ close: server.stop });
  const identity = await startIdentity({ logger, mail: server.options, ...options });
  opened.push({ close: identity.close });
  return { identity, server };
}

/** Posts it as every part of the service does. */
async function post(identity: TestIdentity, recipient: string, mail: Partial<NewMail> = {}, service: IdentityService = identity.service): Promise<void> {
  const { db, mailbox } = service.subgraph.createContext({ viewer: null, requestId: 'test', address: null, userAgent: null }) as IdentityContext; // it is identity's
  const content = { kind: 'reset_password', recipient, userId: null, content: { name: 'Ada', token: 'the-secret-token' }, ...mail } as NewMail; // one of them
  await db.$transaction((tx) => mailbox.post(tx, content, identity.clock.now()));
}

const row = async (identity: TestIdentity, recipient: string) => (await identity.sql('SELECT state, attempts, error, due_at, sent_at, length(content) AS size FROM identity.mails WHERE recipient = $1', [recipient]))[0]!; // it was posted
const state = (identity: TestIdentity, recipient: string, wanted: object) => eventually(`a mail that is ${JSON.stringify(wanted)}`, async () => expect(await row(identity, recipient)).toMatchObject(wanted) ?? true, { timeoutMs: 30_000 });

describe('a mail', () => {
  let identity: TestIdentity;
  let server: TestMailServer;
  beforeAll(async () => {
    server = await startMailServer();
    identity = await startIdentity({ mail: server.options });
  });
  afterAll(async () => {
    await identity?.close();
    await server?.stop();
  });
  const arrivedAt = (recipient: string) => server.mails.filter(({ recipients }) => recipients.includes(recipient));

  it('arrives once, in HTML and text, and what stood in it is forgotten', async () => {
    await post(identity, 'ada@example.org');
    const mail = await server.arrived('ada@example.org');
    expect(mail).toMatchObject({ recipients: ['ada@example.org'], from: 'novacron@example.org', subject: 'Choose a new password', token: 'the-secret-token' });
    expect(mail.text).toContain('https://novacron.example.org/account/reset-password#token=the-secret-token');
    expect(mail.html).toContain('href="https://novacron.example.org/account/reset-password#token=the-secret-token"');
    expect(mail.headers).toContainEqual(expect.objectContaining({ key: 'auto-submitted', value: 'auto-generated' }));
    await state(identity, 'ada@example.org', { state: 'SENT', attempts: 1, error: null, due_at: null, sent_at: identity.clock.now(), size: 0 });
    await post(identity, 'grace@example.org');
    await server.arrived('grace@example.org');
    expect(arrivedAt('ada@example.org')).toHaveLength(1);
  });

  it('is not sent when what it was about has been rolled back', async () => {
    const { db, mailbox } = identity.service.subgraph.createContext({ viewer: null, requestId: 'test', address: null, userAgent: null }) as IdentityContext; // it is identity's
    const mail: NewMail = { kind: 'reset_password', recipient: 'never@example.org', userId: null, content: { name: 'Ada', token: 'x' } };
    const failing = db.$transaction(async (tx) => {
      await mailbox.post(tx, mail, identity.clock.now());
      throw new Error('rolled back');
    });
    await expect(failing).rejects.toThrow('rolled back');
    await post(identity, 'after@example.org');
    await server.arrived('after@example.org');
    expect(arrivedAt('never@example.org')).toEqual([]);
  });

  it('goes to one address, whatever that looks like, and adds no header', async () => {
    const device = 'Mozilla\r\nBcc: victim@example.org';
    await post(identity, 'mallory@example.org', { kind: 'new_device', content: { name: 'Ada\r\nBcc: victim@example.org', address: null, device, at: identity.clock.now() } } as NewMail);
    const mail = await server.arrived('mallory@example.org');
    expect(mail.recipients).toEqual(['mallory@example.org']);
    expect(mail.headers.map(({ key }) => key)).not.toContain('bcc');
    await post(identity, 'one@example.org, victim@example.org');
    await post(identity, 'one@example.org\r\nRCPT TO:<victim@example.org>');
    await eventually('both refused or sent to one', async () => (await identity.sql("SELECT 1 FROM identity.mails WHERE state = 'QUEUED' AND error IS NULL")).length === 0);
    expect(server.mails.flatMap(({ recipients }) => recipients)).not.toContain('victim@example.org');
  });
});

it('a mail lies sealed in its row, and in no log', async () => {
  const { identity, server } = await started({ mail: { smtpUrl: null, from: 'x@example.org', publicUrl: 'https://novacron.example.org' } });
  await post(identity, 'ada@example.org');
  const [{ content } = {}] = await identity.sql<{ content: Buffer }>('SELECT content FROM identity.mails');
  expect(content?.length).toBeGreaterThan(20);
  expect(content?.includes('the-secret-token')).toBe(false);
  identity.another({ mail: server.options }).start();
  await server.arrived('ada@example.org');
  await state(identity, 'ada@example.org', { state: 'SENT' });
  expect(lines.join('')).toContain('mail sent');
  expect(lines.join('')).not.toContain('the-secret-token');
});

describe('a server in trouble', () => {
  it('is asked again, later each time, and the answer was never kept waiting', async () => {
    const { identity, server } = await started();
    server.misbehave({ recipientCode: 451 });
    await post(identity, 'ada@example.org'); // resolves: nobody waits for the server
    for (const [attempts, waitMs] of [[1, 15_000], [2, 30_000], [3, MINUTE_MS], [4, 2 * MINUTE_MS]] as const) {
      await state(identity, 'ada@example.org', { state: 'QUEUED', attempts, due_at: new Date(identity.clock.now().getTime() + waitMs), error: expect.stringContaining('451') });
      if (attempts === 4) server.misbehave();
      identity.clock.advance(waitMs);
    }
    await server.arrived('ada@example.org');
    await state(identity, 'ada@example.org', { state: 'SENT', attempts: 5, error: null });
    expect(server.mails).toHaveLength(1);
  });

  it('loses no mail when it is away, and tells nobody its password', async () => {
    const credentials = { user: 'nova', password: 'p@ss:word/canary' };
    const { identity, server } = await started({ credentials });
    await post(identity, 'ada@example.org');
    await server.arrived('ada@example.org');
    await state(identity, 'ada@example.org', { state: 'SENT' });
    await server.stop();
    await post(identity, 'grace@example.org');
    await state(identity, 'grace@example.org', { state: 'QUEUED', attempts: 1, error: expect.stringContaining('ECONNREFUSED') });
    const wrong = await startMailServer({ credentials: { user: 'nova', password: 'another' } });
    opened.push({ close: wrong.stop });
    const smtpUrl = wrong.options.smtpUrl!.replace('another', encodeURIComponent(credentials.password)); // the kit's has one
    const other = identity.another({ mail: { ...wrong.options, smtpUrl } });
    await identity.service.close();
    other.start();
    identity.clock.advance(MINUTE_MS);
    await state(identity, 'grace@example.org', { state: 'QUEUED', attempts: 2, error: expect.stringContaining('535') });
    const said = lines.join('') + JSON.stringify(await row(identity, 'grace@example.org'));
    for (const secret of [credentials.password, encodeURIComponent(credentials.password), 'the-secret-token']) expect(said).not.toContain(secret);
  });

  it('gets no password in the clear, unless it is on this machine', async () => {
    const { identity, server } = await started({ credentials: { user: 'nova', password: 'p@ss:word/canary' } });
    await identity.service.close();
    // the same server by an address that is nobody's own: Linux takes it for this machine
    const elsewhere = server.options.smtpUrl!.replace('127.0.0.1', '0.0.0.0'); // the kit's has one
    await post(identity, 'ada@example.org', {}, identity.another());
    identity.another({ mail: { ...server.options, smtpUrl: elsewhere } }).start();
    await state(identity, 'ada@example.org', { state: 'QUEUED', attempts: 1, error: expect.stringMatching(/TLS/) });
    expect(server.mails).toEqual([]);
  });

  it('is none for a mail that does not open, which waits for its key', async () => {
    const { identity, server } = await started();
    await post(identity, 'ada@example.org', {}, identity.another({ secrets: secretsOf(randomBytes(32)) }));
    await state(identity, 'ada@example.org', { state: 'QUEUED', attempts: 1, due_at: new Date(identity.clock.now().getTime() + 15_000), error: expect.stringContaining('key') });
    expect(server.mails).toEqual([]);
  });

  it.each([{ recipientCode: 550 }, { messageCode: 554 }])('is not asked again when it refuses the mail for good: %j', async (trouble) => {
    const { identity, server } = await started();
    server.misbehave(trouble);
    await post(identity, 'nobody@example.org');
    await state(identity, 'nobody@example.org', { state: 'DEAD', attempts: 1, due_at: null });
    expect(server.mails).toEqual([]);
  });

  it('is given up after a day', async () => {
    const { identity, server } = await started();
    server.misbehave({ recipientCode: 450 });
    await post(identity, 'ada@example.org');
    await state(identity, 'ada@example.org', { attempts: 1, error: expect.stringContaining('450') });
    await identity.sql('UPDATE identity.mails SET attempts = 29');
    identity.clock.advance(MINUTE_MS);
    await state(identity, 'ada@example.org', { state: 'DEAD', attempts: 30, error: expect.stringContaining('450') });
  });
});

describe('a process that is lost', () => {
  it('while it sends leaves the mail to the next one', async () => {
    const { identity, server } = await started();
    server.misbehave({ hold: true });
    await post(identity, 'ada@example.org');
    await state(identity, 'ada@example.org', { state: 'QUEUED', attempts: 1 });
    await identity.service.close({ force: true });
    server.misbehave({ messageCode: 451 }); // what is held gets through; see below
    identity.another().start();
    identity.clock.advance(MINUTE_MS);
    await post(identity, 'grace@example.org', {}, identity.another());
    await state(identity, 'grace@example.org', { attempts: 1 });
    expect(await row(identity, 'ada@example.org')).toMatchObject({ attempts: 1 }); // whoever had it may still be at it
    server.misbehave();
    identity.clock.advance(2 * MINUTE_MS);
    await state(identity, 'ada@example.org', { state: 'SENT', attempts: 2 });
    await server.arrived('ada@example.org');
  });

  it('to kill -9, at the worst moment, leaves it, too', async () => {
    const { identity, server } = await started();
    await identity.service.close();
    server.misbehave({ hold: true });
    await post(identity, 'ada@example.org', {}, identity.another());
    const { databaseUrl, redis, masterKey, clock } = identity;
    const child = fork(new URL('sending-process.ts', import.meta.url), [
      JSON.stringify({ databaseUrl, redisUrl: redis.url, masterKey: masterKey.toString('base64'), mail: server.options, now: clock.now() }),
    ]);
    const ended = once(child, 'exit');
    opened.push({ close: async () => (child.kill('SIGKILL'), ended) });
    await eventually('the server to have the mail, and not to have said so', () => server.holding() > 0, { timeoutMs: 40_000 });
    child.kill('SIGKILL');
    await ended;
    server.misbehave();
    identity.another().start();
    identity.clock.advance(3 * MINUTE_MS);
    await state(identity, 'ada@example.org', { state: 'SENT', attempts: 2 });
    expect((await server.arrived('ada@example.org')).token).toBe('the-secret-token');
  });

  it('and with it all that Redis knew: the mail goes out all the same', async () => {
    const { identity, server } = await started();
    await identity.service.close({ force: true });
    const dead = identity.another({ mail: { ...server.options, smtpUrl: null } });
    await post(identity, 'ada@example.org', {}, dead);
    const service = identity.another();
    await identity.flushRedis();
    service.start();
    expect((await server.arrived('ada@example.org')).token).toBe('the-secret-token');
  });

  it('has rivals: of many at once, each mail is sent by one', async () => {
    const { identity, server } = await started();
    for (let index = 0; index < 3; index += 1) identity.another().start();
    const recipients = Array.from({ length: 20 }, (_, index) => `user${index}@example.org`);
    await Promise.all(recipients.map((recipient) => post(identity, recipient)));
    await Promise.all(recipients.map((recipient) => state(identity, recipient, { state: 'SENT', attempts: 1 })));
    expect(server.mails.flatMap((mail) => mail.recipients).toSorted()).toEqual(recipients.toSorted());
  });
});

describe('Redis', () => {
  it('may be away, or frozen: the mail is taken all the same, and goes out when Redis is back', async () => {
    const { identity, server } = await started();
    identity.redis.kill();
    await post(identity, 'ada@example.org');
    await identity.redis.restart();
    expect((await server.arrived('ada@example.org')).messageId).toContain('@example.org>');
    identity.redis.freeze();
    await post(identity, 'grace@example.org'); // resolves: nobody waits for Redis
    expect(await row(identity, 'grace@example.org')).toMatchObject({ state: 'QUEUED', attempts: 0 });
    identity.redis.thaw();
    await server.arrived('grace@example.org');
  });
});

describe('mails that nobody takes', () => {
  it('wait for a server, but not for ever, and are not kept for ever either', async () => {
    const { identity } = await started({ mail: { smtpUrl: null, from: 'x@example.org', publicUrl: 'https://novacron.example.org', sweepEveryMs: 50 } });
    await post(identity, 'ada@example.org');
    identity.clock.advance(6 * 24 * 60 * MINUTE_MS);
    await post(identity, 'grace@example.org');
    identity.clock.advance(2 * 24 * 60 * MINUTE_MS);
    await state(identity, 'ada@example.org', { state: 'DEAD', attempts: 0 });
    expect(await row(identity, 'grace@example.org')).toMatchObject({ state: 'QUEUED', attempts: 0 });
    identity.clock.advance(30 * 24 * 60 * MINUTE_MS);
    await eventually('both forgotten', async () => (await identity.sql('SELECT 1 FROM identity.mails')).length === 0);
  });
});

describe('administrators', () => {
  const STATE = '{ mailState { configured queued failing dead oldestQueuedAt lastError } }';
  const DEAD = '{ deadMails { totalCount edges { node { id kind recipient state attempts error createdAt dueAt sentAt user { id } } } } }';
  const RETRY = 'mutation ($id: ID!) { retryMail(id: $id) { id state attempts error dueAt } }';

  it('see that there is no server, and what waits for one', async () => {
    const { identity } = await started({ mail: { smtpUrl: null, from: 'x@example.org', publicUrl: 'https://novacron.example.org' } });
    await identity.service.bootstrap();
    const { viewer } = await login(identity);
    await post(identity, 'ada@example.org');
    const { data } = await identity.ask(viewer, STATE);
    expect(data['mailState']).toEqual({ configured: false, queued: 1, failing: 0, dead: 0, oldestQueuedAt: identity.clock.now().toISOString(), lastError: null });
  });

  it('see what was given up, and try it again; nobody else does', async () => {
    const { identity, server } = await started();
    await identity.service.bootstrap();
    const { viewer } = await login(identity);
    await eventually('no other mail', async () => (await identity.sql("SELECT 1 FROM identity.mails WHERE state = 'QUEUED'")).length === 0);
    server.misbehave({ recipientCode: 550 });
    await post(identity, 'ada@example.org', { userId: viewer.userId });
    await state(identity, 'ada@example.org', { state: 'DEAD' });
    const { data } = await identity.ask(viewer, DEAD);
    const [{ node }] = data['deadMails'].edges;
    expect(node).toEqual({
      id: expect.any(String),
      kind: 'reset_password',
      recipient: 'ada@example.org',
      state: 'DEAD',
      attempts: 1,
      error: expect.stringContaining('550'),
      createdAt: identity.clock.now().toISOString(),
      dueAt: null,
      sentAt: null,
      user: { id: viewer.userId },
    });
    expect((await identity.ask(viewer, STATE)).data['mailState']).toMatchObject({ configured: true, queued: 0, dead: 1 });

    const tenant = await makeTenant(identity, viewer, 'acme');
    const member = await memberOf(identity, viewer, 'ta', tenant, 'tenant_admin');
    for (const [asker, code] of [[null, 'UNAUTHENTICATED'], [member, 'FORBIDDEN']] as const) {
      for (const source of [STATE, DEAD, RETRY]) expect((await identity.ask(asker, source, { id: node.id })).error).toMatchObject({ code });
    }

    server.misbehave({ recipientCode: 451 });
    expect((await identity.ask(viewer, RETRY, { id: node.id })).data['retryMail']).toMatchObject({ id: node.id, state: 'QUEUED', attempts: 0, dueAt: identity.clock.now().toISOString() });
    await state(identity, 'ada@example.org', { state: 'QUEUED', attempts: 1, error: expect.stringContaining('451') });
    expect((await identity.ask(viewer, STATE)).data['mailState']).toMatchObject({ queued: 1, failing: 1, lastError: expect.stringContaining('451') });
    server.misbehave();
    await identity.ask(viewer, RETRY, { id: node.id }); // now, not in a while
    await state(identity, 'ada@example.org', { state: 'SENT' });
    expect((await server.arrived('ada@example.org')).token).toBe('the-secret-token');
    expect((await identity.ask(viewer, RETRY, { id: node.id })).error).toMatchObject({ code: 'INVALID_STATE' });
    expect((await identity.ask(viewer, RETRY, { id: viewer.userId })).error).toMatchObject({ code: 'NOT_FOUND' });
    expect((await identity.ask(viewer, RETRY, { id: 'no id' })).error).toMatchObject({ code: 'NOT_FOUND' });
  });
});
