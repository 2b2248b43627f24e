import { prismaAdapter } from '@novacron/database';
import { PrismaClient } from './generated/prisma/client.ts';
import type { TransactionClient } from './generated/prisma/internal/prismaNamespace.ts';

export type Database = PrismaClient;
export type Tx = TransactionClient;
export type { Pool as PoolRow, PoolHost as PoolHostRow, Seed as SeedRow, Volume as VolumeRow, VolumeSnapshot as SnapshotRow } from './generated/prisma/client.ts';

export const openDatabase = (databaseUrl: string): Database => new PrismaClient({ adapter: prismaAdapter(databaseUrl, 'storage', 16) });
