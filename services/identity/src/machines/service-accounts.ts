import { requireInTenant, requireSignedIn } from '@novacron/contracts';
import { parseId, type TenantId, type UserId } from '@novacron/core';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import { unknownUser } from '../people/rules.ts';
import { parseName, parseRole, requireMayGrant } from '../rules.ts';
import type { Database } from '../store/database.ts';
import { changeUser, forgetUser } from '../store/people.ts';
import { createServiceAccount } from '../store/service-accounts.ts';
import type { UserRecord } from '../visibility.ts';

/** Accounts for programs: nobody signs in to them, they have API tokens. */
export interface ServiceAccounts {
  /** Errors: UNAUTHENTICATED, FORBIDDEN, NOT_FOUND (the tenant), BAD_USER_INPUT. */
  create(asker: Asker, input: { name: string; tenantId: string; role: string }): Promise<UserRecord>;
  /** Its tokens are refused from now on. Errors: UNAUTHENTICATED, FORBIDDEN, NOT_FOUND. */
  delete(asker: Asker, id: string): Promise<void>;
}

export function createServiceAccounts({ db, now, logger }: { db: Database; now: () => Date; logger: Logger }): ServiceAccounts {
  return {
    async create({ viewer, requestId }, input) {
      requireSignedIn(viewer);
      const tenantId = parseId<TenantId>(input.tenantId, 'tenant', 'tenantId');
      const maker = requireInTenant(viewer, 'service_account:create', tenantId, 'tenant', 'tenantId');
      const [role, name] = [parseRole(input.role), parseName(input.name)];
      requireMayGrant(maker, role);
      const user = await createServiceAccount(db, { name, tenantId, role, by: maker.userId, at: now() });
      logger.info({ requestId, by: maker.userId, userId: user.id, tenantId, role }, 'service account created');
      return user;
    },

    async delete({ viewer, requestId }, id) {
      const [{ userId: by }, userId, at] = [requireSignedIn(viewer), parseId<UserId>(id, 'user', 'id'), now()];
      await changeUser(db, { verb: 'deleteServiceAccount', userId, viewer }, at, async (tx, before) => {
        if (before.kind !== 'service') throw unknownUser();
        return forgetUser(tx, before, { by, at });
      });
      logger.info({ requestId, by, userId }, 'service account deleted');
    },
  };
}
