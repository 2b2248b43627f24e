import { prismaAdapter } from '@novacron/database';
import { PrismaClient, type Prisma } from '../generated/prisma/client.ts';

export type Database = PrismaClient;
export type Transaction = Prisma.TransactionClient;

/** Connects at the first query. `databaseUrl`: the owner's, or the one of identity's own role. */
export const openDatabase = (databaseUrl: string): Database =>
  new PrismaClient({ adapter: prismaAdapter(databaseUrl, 'identity') });
