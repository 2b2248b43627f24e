import { requireSettled } from '@novacron/contracts';
import { DomainError, newId, parseId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import { parseName } from '../rules.ts';
import type { Database } from '../store/database.ts';
import { requireOpen } from '../store/sessions.ts';
import { parseSshPublicKey } from './ssh-public-key.ts';

export interface SshKeyRecord {
  id: string;
  userId: string;
  name: string;
  publicKey: string;
  fingerprint: string;
  createdAt: Date;
}

/** The keys with which somebody signs in to its VMs: given to cloud-init when a VM is made, see the door ssh_keys_of. */
export interface SshKeys {
  /** Errors: UNAUTHENTICATED, FORBIDDEN (an API token asks, or who owes something first), BAD_USER_INPUT (publicKey, name), ALREADY_EXISTS, QUOTA_EXCEEDED. */
  add(asker: Asker, input: { publicKey: string; name?: string | null | undefined }): Promise<SshKeyRecord>;
  /** One's own. VMs that have it keep it. Errors: UNAUTHENTICATED, FORBIDDEN, NOT_FOUND. */
  remove(asker: Asker, id: string): Promise<void>;
}

/** As many as a guest is given at most: packages/contracts/src/cloud-init.ts. */
const MOST_PER_USER = 64;

export function createSshKeys({ db, now, logger }: { db: Database; now: () => Date; logger: Logger }): SshKeys {
  return {
    async add({ viewer: someone, requestId }, input) {
      const viewer = requireSettled(someone);
      const { userId } = viewer;
      const { publicKey, fingerprint, comment } = parseSshPublicKey(input.publicKey);
      const name = parseName(input.name ?? comment ?? fingerprint);
      const key = await inTransaction(db, async (tx) => {
        await tx.$queryRaw`SELECT FROM users WHERE id = ${userId}::uuid FOR NO KEY UPDATE`; // of two that are added at once, the second one counts the first
        await requireOpen(tx, viewer);
        if ((await tx.sshKey.count({ where: { userId } })) >= MOST_PER_USER) throw new DomainError('QUOTA_EXCEEDED', `A user has at most ${MOST_PER_USER} SSH keys: remove one first.`);
        if ((await tx.sshKey.count({ where: { userId, fingerprint } })) > 0) throw new DomainError('ALREADY_EXISTS', 'You have this SSH key already.', { field: 'publicKey' });
        return tx.sshKey.create({ data: { id: newId(), userId, name, publicKey, fingerprint, createdAt: now() } });
      });
      logger.info({ requestId, userId, sshKeyId: key.id, fingerprint }, 'SSH key added');
      return key;
    },

    async remove({ viewer, requestId }, id) {
      const { userId } = requireSettled(viewer);
      const sshKeyId = parseId(id, 'SSH key', 'id');
      const { count } = await db.sshKey.deleteMany({ where: { id: sshKeyId, userId } });
      if (count === 0) throw new DomainError('NOT_FOUND', 'There is no SSH key with this id.', { field: 'id' });
      logger.info({ requestId, userId, sshKeyId }, 'SSH key removed');
    },
  };
}
