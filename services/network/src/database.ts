import { prismaAdapter } from '@novacron/database';
import { PrismaClient } from './generated/prisma/client.ts';
import type { TransactionClient } from './generated/prisma/internal/prismaNamespace.ts';

export type Database = PrismaClient;
export type Tx = TransactionClient;
export type {
  Network as NetworkRow,
  NetworkHost as NetworkHostRow,
  Nic as NicRow,
  Rule as RuleRow,
  SecurityGroup as SecurityGroupRow,
} from './generated/prisma/client.ts';

export const openDatabase = (databaseUrl: string): Database => new PrismaClient({ adapter: prismaAdapter(databaseUrl, 'network', 16) });
