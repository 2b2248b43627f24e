import { newId } from '@novacron/core';
import type { Secrets } from '@novacron/secrets';
import type { Transaction } from '../store/database.ts';
import type { NewMail } from './mails.ts';

/** Takes mails: no answer ever waits for one to be sent. */
export interface Mailbox {
  /** Makes the mail durable with the transaction that has the reason for it. */
  post(tx: Transaction, mail: NewMail, at: Date): Promise<void>;
}

export const createMailbox = ({ secrets }: { secrets: Secrets }): Mailbox => ({
  async post(tx, { kind, recipient, userId, tenantId = null, content }, at) {
    const id = newId<string>();
    const { sealed, keyId } = secrets.seal(Buffer.from(JSON.stringify(content)), `mail:${id}`);
    await tx.mail.create({ data: { id, kind, recipient, userId, tenantId, content: sealed, keyId, createdAt: at, dueAt: at } });
  },
});
