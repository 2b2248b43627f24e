import type { Role } from '@novacron/contracts';
import { newId, type TenantId, type UserId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { emit } from '@novacron/operations';
import type { UserRecord } from '../visibility.ts';
import type { Database } from './database.ts';
import { NEWCOMER } from './records.ts';
import { requireTenant, setRole } from './roles.ts';

/** Nobody gets mail there: RFC 6761, 6.4. */
const serviceAddress = (id: UserId): string => `${id}@service.invalid`;

/** NOT_FOUND without such a tenant. */
export const createServiceAccount = (db: Database, { name, tenantId, role, by, at }: { name: string; tenantId: TenantId; role: Role; by: UserId; at: Date }): Promise<UserRecord> =>
  inTransaction(db, async (tx) => {
    await requireTenant(tx, tenantId);
    const id = newId<UserId>();
    const user = { ...NEWCOMER, id, kind: 'service' as const, name, email: serviceAddress(id), createdAt: at };
    await tx.user.create({ data: user });
    await setRole(tx, { userId: id, tenantId, from: null, to: role, by, at });
    await emit(tx, { type: 'user.access', tenantId, entityId: id, after: {} });
    return { ...user, roles: [{ role, tenantId }] };
  });
