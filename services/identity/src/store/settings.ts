import { inTransaction } from '@novacron/database';
import { newId, type UserId } from '@novacron/core';
import { Prisma } from '../generated/prisma/client.ts';
import type { SettingName } from '../settings/catalogue.ts';
import type { Database, Transaction } from './database.ts';

/** A setting as it is stored: null where it has its default. */
export type StoredValue = Prisma.InputJsonValue | null;

/**
 * Sets it, or lets it have its default again, and writes down who did. Setting what is set changes nothing and says nothing.
 * One after the other: `announce` is told the value that was there, in the same transaction.
 */
export const changeSetting = (
  db: Database,
  { name, value, by, at }: { name: SettingName; value: StoredValue; by: UserId; at: Date },
  announce: (tx: Transaction, before: unknown) => Promise<void>,
): Promise<boolean> =>
  inTransaction(db, async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('identity: setting ' || ${name}, 0))`;
    const row = await tx.setting.findUnique({ where: { name }, select: { value: true } });
    const before = row?.value ?? null;
    if (JSON.stringify(before) === JSON.stringify(value)) return false;
    if (value === null) await tx.setting.delete({ where: { name } });
    else await tx.setting.upsert({ where: { name }, create: { name, value, changedAt: at, changedBy: by }, update: { value, changedAt: at, changedBy: by } });
    await tx.settingChange.create({ data: { id: newId(), name, before: before ?? Prisma.DbNull, after: value ?? Prisma.DbNull, at, by } });
    await announce(tx, before);
    return true;
  });
