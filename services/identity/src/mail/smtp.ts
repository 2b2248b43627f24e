import { createTransport } from 'nodemailer';
import type { RenderedLetter } from './letter.ts';

export interface OutgoingMail extends RenderedLetter {
  id: string;
  recipient: string;
  createdAt: Date;
}

export interface SmtpServer {
  /** Resolves once the server has taken the mail; rejects with an SmtpRefusal. */
  send(mail: OutgoingMail): Promise<void>;
  close(): void;
}

/** Why a mail was not taken, in words for administrators. */
export class SmtpRefusal extends Error {
  /** The server has refused this mail for good: trying again is no use. */
  readonly permanent: boolean;

  constructor(message: string, permanent: boolean, cause: unknown) {
    super(message, { cause });
    this.permanent = permanent;
  }
}

const TIMEOUTS = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 30_000, dnsTimeout: 10_000 } as const;
const MESSAGE_MAX_LENGTH = 300;

/**
 * A server by its URL: smtp:// (STARTTLS where it is offered; always where there is a password, but on this machine) or smtps://.
 * Nothing of the URL is in any error.
 */
export function createSmtpServer(url: string, from: string): SmtpServer {
  const { protocol, hostname, port, username, password } = new URL(url);
  const secure = protocol === 'smtps:';
  const host = hostname.replace(/^\[(.*)\]$/, '$1'); // an IPv6 address
  const transport = createTransport({
    host,
    port: port === '' ? (secure ? 465 : 25) : Number(port),
    secure,
    requireTLS: username !== '' && !isThisMachine(host), // whoever answers in the server's place could say that it has no TLS
    ...(username === '' ? {} : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    ...TIMEOUTS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const domain = /@([^\s>@]+)>?\s*$/.exec(from)?.[1] ?? 'localhost';

  return {
    async send({ id, recipient, createdAt, subject, text, html }) {
      try {
        await transport.sendMail({
          from,
          to: { name: '', address: recipient }, // an object: a list in disguise stays one address
          subject,
          text,
          html,
          date: createdAt,
          messageId: `<${id}@${domain}>`, // the same at every try: who gets it twice can tell
          headers: { 'Auto-Submitted': 'auto-generated' }, // https://www.rfc-editor.org/rfc/rfc3834#section-5
        });
      } catch (error) {
        throw refusalOf(error);
      }
    },
    close: () => transport.close(),
  };
}

const isThisMachine = (host: string): boolean => host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);

/** Is it this mail that the server will never take? Then its answer to RCPT TO or DATA was 5xx (RFC 5321, 4.2.1). All else may pass. */
function refusalOf(error: unknown): SmtpRefusal {
  const { command = '', responseCode = 0, message } = error as { command?: string; responseCode?: number; message: string }; // nodemailer rejects with errors
  const permanent = (command === 'RCPT TO' || command === 'DATA') && responseCode >= 500;
  return new SmtpRefusal(message.replaceAll(/\p{C}+/gu, ' ').slice(0, MESSAGE_MAX_LENGTH), permanent, error);
}
