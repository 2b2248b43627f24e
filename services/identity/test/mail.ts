import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { eventually } from '@novacron/testkit';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import type { MailOptions } from '../src/service.ts';

/** A mail as it arrived. */
export interface ArrivedMail {
  /** The envelope's, which decides where it goes. */
  recipients: string[];
  from: string;
  subject: string;
  text: string;
  html: string;
  messageId: string;
  headers: readonly { key: string; value: string }[];
  /** The token of its link; null without one. */
  token: string | null;
}

/** What the server does with mails, in place of taking them. */
export interface MailTrouble {
  /** Answers RCPT TO with this code. */
  recipientCode?: number;
  /** Answers the mail itself with this code. */
  messageCode?: number;
  /** Takes the mail and never says so. */
  hold?: true;
}

export interface TestMailServer {
  /** For `startIdentity({ mail: server.options })`: the service then sends its mails here. */
  options: MailOptions;
  /** All that arrived so far, in order. */
  mails: readonly ArrivedMail[];
  /** The newest mail to that address (with that subject), as soon as there is one; `after`: not counting so many of them. */
  arrived(recipient: string, subject?: string | RegExp, after?: number): Promise<ArrivedMail>;
  /** From the next mail on; without trouble, all is well again, and what is held is taken. */
  misbehave(trouble?: MailTrouble): void;
  /** How many mails are held now: their senders wait for an answer. */
  holding(): number;
  /** Ends every connection. Idempotent. */
  stop(): Promise<void>;
}

export interface MailServerOptions {
  /** Whoever sends must sign in with it. */
  credentials?: { user: string; password: string };
}

/** A real SMTP server on 127.0.0.1. */
export async function startMailServer({ credentials }: MailServerOptions = {}): Promise<TestMailServer> {
  const mails: ArrivedMail[] = [];
  const held: (() => void)[] = [];
  let trouble: MailTrouble = {};
  const refused = (code: number) => Object.assign(new Error('refused by the test'), { responseCode: code });
  const server = new SMTPServer({
    authOptional: credentials === undefined,
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS'],
    closeTimeout: 1,
    onAuth({ username, password }, _session, done) {
      const right = credentials !== undefined && username === credentials.user && password === credentials.password;
      if (right) done(null, { user: username });
      else done(refused(535));
    },
    onRcptTo(_address, _session, done) {
      done(trouble.recipientCode === undefined ? null : refused(trouble.recipientCode));
    },
    onData(stream, { envelope }, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', async () => {
        if (trouble.messageCode !== undefined) return done(refused(trouble.messageCode));
        if (trouble.hold) return void held.push(() => done());
        mails.push(await parsed(Buffer.concat(chunks), envelope.rcptTo.map(({ address }) => address)));
        done();
      });
    },
  });
  server.on('error', () => {}); // connections that a test has cut
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  const { port } = server.server.address() as AddressInfo; // it listens on a port
  const signIn = credentials === undefined ? '' : `${encodeURIComponent(credentials.user)}:${encodeURIComponent(credentials.password)}@`;
  const matching = (recipient: string, subject: string | RegExp | undefined) =>
    mails.filter((mail) => mail.recipients.includes(recipient) && (subject === undefined || (typeof subject === 'string' ? mail.subject === subject : subject.test(mail.subject))));
  let stopping: Promise<void> | null = null;
  return {
    options: { smtpUrl: `smtp://${signIn}127.0.0.1:${port}`, from: 'NovaCron <novacron@example.org>', publicUrl: 'https://novacron.example.org', sweepEveryMs: 50 },
    mails,
    arrived: (recipient, subject, after = 0) =>
      eventually(`a mail ${subject ?? ''} to ${recipient}`, () => {
        const found = matching(recipient, subject);
        return found.length > after && found.at(-1);
      }, { timeoutMs: 30_000 }),
    misbehave(next = {}) {
      trouble = next;
      if (!next.hold) for (const release of held.splice(0)) release();
    },
    holding: () => held.length,
    stop: () => (stopping ??= new Promise((resolve) => server.close(resolve))),
  };
}

async function parsed(raw: Buffer, recipients: string[]): Promise<ArrivedMail> {
  const { from, subject = '', text = '', html = '', messageId = '', headers } = await PostalMime.parse(raw);
  const token = /#token=(\S+)/.exec(text)?.[1];
  return { recipients, from: from?.address ?? '', subject, text, html, messageId, headers, token: token === undefined ? null : decodeURIComponent(token) };
}
