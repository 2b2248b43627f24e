export { columnsOf } from './columns.ts';
export { migrate } from './migrate.ts';
export { postgresPool, prismaAdapter, serviceDatabaseUrl, SERVICE_ROLES, type ServiceRole } from './connections.ts';
export { inTransaction, isDuplicate, orTaken } from './transactions.ts';
