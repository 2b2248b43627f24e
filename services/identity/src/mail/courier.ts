import type { Ringer } from '@novacron/operations';
import type { Secrets } from '@novacron/secrets';
import { Worker, type ConnectionOptions } from 'bullmq';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import type { Database } from '../store/database.ts';
import { dueMails, mailFailed, mailSent, takeMail, tidyMails, type TakenMail } from '../store/mails.ts';
import { contentOf } from './mailbox.ts';
import { createSmtpServer, SmtpRefusal } from './smtp.ts';
import { writeMail } from './templates.ts';

export interface MailOptions {
  /** smtp:// or smtps://; null: mails wait. */
  smtpUrl: string | null;
  from: string;
  /** What links begin with. */
  publicUrl: string;
  /** How often to look for mails that are due and whose bell was lost: 5 s. */
  sweepEveryMs?: number;
}

export interface Courier {
  /** Sends what is in hand, for a moment. `force`: as if the process had died. */
  close(options?: { force?: boolean }): Promise<void>;
}

interface CourierOptions {
  db: Database;
  secrets: Secrets;
  redis: RedisOptions;
  ringer: Ringer;
  mail: MailOptions;
  now: () => Date;
  logger: Logger;
}

const QUEUE = 'identity.mail';
/** A bell is rung before the transaction of its mail ends. */
const COMMIT_MS = 100;
/** Longer than a server may take over a mail: past that, whoever had it is lost. */
const TRY_MS = 2 * 60_000;
const RETRY = { firstMs: 15_000, mostMs: 60 * 60_000, tries: 30 } as const; // for about a day
const DAY_MS = 24 * 60 * 60_000;
const KEPT = { waitingMs: 7 * DAY_MS, endedMs: 30 * DAY_MS } as const;
const BATCH = 200;
const CLOSE_MS = 5_000;

const retryAfterMs = (attempts: number): number | null =>
  attempts >= RETRY.tries ? null : Math.min(RETRY.mostMs, RETRY.firstMs * 2 ** Math.min(attempts - 1, 16));

/** Rings for a mail that is being posted, or should go out again. */
export const ringForMail = (ringer: Ringer, mailId: string, attempts = 0): void =>
  ringer.ring({ queue: QUEUE, jobId: `${mailId}-${attempts}`, data: { mailId }, delayMs: attempts === 0 ? COMMIT_MS : 0 });

/**
 * Takes mails to the server, each at least once: what a try has taken comes back when its process is lost. Without a
 * server they wait. The queue is only a bell: the sweeper rings again for all that is due.
 */
export function startCourier({ db, secrets, redis, ringer, mail, now, logger }: CourierOptions): Courier {
  const server = mail.smtpUrl === null ? null : createSmtpServer(mail.smtpUrl, mail.from);
  const inHand = new Set<Promise<void>>();
  let closed = false;
  let dropped = false;
  let silent = false;

  async function deliver(mailId: string): Promise<void> {
    const at = now();
    if (server === null || closed) return;
    const taken = await takeMail(db, mailId, { at, until: new Date(at.getTime() + TRY_MS) });
    if (taken === null) return;
    const { id, kind, attempts } = taken;
    try {
      await server.send({ ...taken, ...write(taken) });
    } catch (error) {
      if (dropped) return;
      // what can't be written here and now may be: by a newer version, or with the key that is on its way
      const afterMs = error instanceof SmtpRefusal && error.permanent ? null : retryAfterMs(attempts);
      const reason = error instanceof Error ? error.message : String(error);
      await mailFailed(db, taken, reason, afterMs === null ? null : new Date(now().getTime() + afterMs));
      logger.warn({ mailId: id, kind, attempt: attempts, reason, retryMs: afterMs }, afterMs === null ? 'mail given up' : 'mail not sent');
      return;
    }
    if (dropped) return;
    await mailSent(db, id, now());
    logger.info({ mailId: id, kind, attempt: attempts }, 'mail sent');
  }

  function write({ id, kind, content, keyId }: TakenMail) {
    const plaintext: unknown = JSON.parse(secrets.open({ sealed: content, keyId }, contentOf(id)).toString('utf8'));
    return writeMail(kind, plaintext, mail.publicUrl);
  }

  async function sweep(): Promise<void> {
    try {
      const at = now().getTime();
      for (const { id, attempts } of server === null ? [] : await dueMails(db, new Date(at), BATCH)) ringForMail(ringer, id, attempts);
      await tidyMails(db, {
        waitingSince: new Date(at - KEPT.waitingMs),
        keptSince: new Date(at - KEPT.endedMs),
        error: 'Nobody took it to a mail server for a week.',
      });
      silent = false;
    } catch (error) {
      if (!silent && !closed) logger.warn({ err: error }, 'due mails could not be read; trying again');
      silent = true;
    }
  }

  let sweeping: Promise<void> | null = null;
  const begin = (): void => {
    if (closed) return;
    sweeping ??= sweep().finally(() => {
      sweeping = null;
    });
  };
  void ringer.connected.then(begin);
  const timer = setInterval(begin, mail.sweepEveryMs ?? 5_000);

  const worker =
    server === null
      ? null
      : new Worker<{ mailId: string }>(
          QUEUE,
          async ({ data: { mailId } }) => {
            const delivered = deliver(mailId);
            inHand.add(delivered);
            await delivered.finally(() => inHand.delete(delivered));
          },
          {
            connection: redis as ConnectionOptions, // the same options, declared by BullMQ a second time
            concurrency: 4,
            lockDuration: 10_000,
            stalledInterval: 5_000,
            removeOnComplete: { count: 0 },
            removeOnFail: { count: 0 },
          },
        );
  worker?.on('error', () => {}); // Redis is away: it reconnects by itself, and the sweeper rings again
  worker?.on('failed', (_job, error) => {
    if (!closed) logger.warn({ err: error }, 'a bell for a mail could not be answered; it will be rung again');
  });

  return {
    async close({ force = false } = {}) {
      closed = true;
      dropped = force;
      clearInterval(timer);
      await sweeping;
      if (!force) await within(CLOSE_MS, Promise.allSettled(inHand));
      dropped = true;
      await worker?.close(true); // BullMQ's own orderly close waits for Redis, which may be away
      server?.close();
    },
  };
}

/** What is not done by then is another's, later. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, late]);
  clearTimeout(timer);
}
