import { prismaAdapter } from '@novacron/database';
import { PrismaClient } from './generated/prisma/client.ts';
import type { TransactionClient } from './generated/prisma/internal/prismaNamespace.ts';

export type Database = PrismaClient;
export type Tx = TransactionClient;
export type { HostBlocker as HostBlockerRow, Migration as MigrationRow } from './generated/prisma/client.ts';

/** A transaction that may wait, and take, longer than Prisma's two and five seconds: a busy host is no reason to undo. */
export const inTransaction = <T>(database: Database, work: (tx: Tx) => Promise<T>): Promise<T> =>
  database.$transaction(work, { maxWait: 5_000, timeout: 15_000 });

export const openDatabase = (databaseUrl: string): Database => new PrismaClient({ adapter: prismaAdapter(databaseUrl, 'migration', 16) });
