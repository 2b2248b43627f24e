import { newId } from '@novacron/core';
import type { Secrets } from '@novacron/secrets';
import type { Transaction } from '../store/database.ts';
import type { NewMail } from './mails.ts';

/** Takes mails: no answer ever waits for one to be sent. */
export interface Mailbox {
  /** Makes the mail durable with the transaction that has the reason for it. */
  post(tx: Transaction, mail: NewMail, at: Date): Promise<void>;
}

/** What a mail's content is sealed for. */
export const contentOf = (mailId: string): string => `mail:${mailId}`;

/** `ring` is told of every mail, before its transaction ends: a bell for what is rolled back finds nothing. */
export const createMailbox = ({ secrets, ring }: { secrets: Secrets; ring(mailId: string): void }): Mailbox => ({
  async post(tx, { kind, recipient, userId, tenantId = null, content }, at) {
    const id = newId<string>();
    const { sealed, keyId } = secrets.seal(Buffer.from(JSON.stringify(content)), contentOf(id));
    await tx.mail.create({ data: { id, kind, recipient, userId, tenantId, content: sealed, keyId, createdAt: at, dueAt: at } });
    ring(id);
  },
});
