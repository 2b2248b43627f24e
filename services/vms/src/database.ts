import { prismaAdapter } from '@novacron/database';
import { PrismaClient } from './generated/prisma/client.ts';
import type { TransactionClient } from './generated/prisma/internal/prismaNamespace.ts';

export type Database = PrismaClient;
export type Tx = TransactionClient;
export type { Host as HostRow, Vm as VmRow } from './generated/prisma/client.ts';

export const openDatabase = (databaseUrl: string): Database => new PrismaClient({ adapter: prismaAdapter(databaseUrl, 'vms', 16) });
