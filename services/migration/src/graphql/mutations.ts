import { ringFor } from '@novacron/operations';
import { cancelMigration, migrateVm, type Accepted } from '../migrate-vm.ts';
import { builder } from './context.ts';
import { Migration, Operation } from './migration.ts';

const MigrationPayload = builder.objectRef<Accepted>('MigrationPayload').implement({
  description: 'A migration, and the operation that carries it out.',
  fields: (t) => ({
    migration: t.field({ type: Migration, description: 'The migration as it is now; watch it with migrationProgress.', resolve: ({ migration }) => migration }),
    operation: t.field({ type: Operation, description: 'The operation; watch it with operationChanged.', resolve: ({ migration }) => ({ id: migration.operationId }) }),
  }),
});

const MigrateVmInput = builder.inputType('MigrateVmInput', {
  description: 'A move to be made.',
  fields: (t) => ({
    vmId: t.id({ required: true, description: 'The VM that is to move.' }),
    hostId: t.id({ description: 'Where to: the best host unless given.' }),
    mode: t.string({ description: 'LIVE (the default): while it runs. OFFLINE: while it is off.' }),
    bandwidthBytesPerSecond: t.float({ description: 'At most so much is sent, in whole MiB: no limit unless given.' }),
    copyStorage: t.boolean({ description: 'Copy disks that the hosts do not share. Else a VM that has such disks is refused.' }),
    idempotencyKey: t.string({
      description: 'Makes a repeated request harmless: the same key with the same input answers the first result, for 24 hours.',
    }),
  }),
});

builder.mutationFields((t) => ({
  migrateVm: t.field({
    type: MigrationPayload,
    cost: 20, // memory and disks go over the network
    description:
      'Moves a VM to another host. Whatever fails, it stays where it is, and runs on. Asked again while it is on its way to that host, it answers the same migration. ' +
      'Errors: NOT_FOUND (vmId, hostId), FORBIDDEN, BAD_USER_INPUT, INVALID_STATE, NO_CAPACITY, QUOTA_EXCEEDED (operations in flight), UNAVAILABLE (its host is offline), CONFLICT (idempotencyKey).',
    args: { input: t.arg({ type: MigrateVmInput, required: true, description: 'The move.' }) },
    resolve: (_root, { input }, context) => ringFor(context, migrateVm(context.database, context, input)),
  }),
  cancelMigration: t.field({
    type: MigrationPayload,
    description:
      'Ends a migration early: the VM stays where it was. Asked again meanwhile, it answers the same. Errors: NOT_FOUND, FORBIDDEN, ' +
      'INVALID_STATE when it is over, or the VM has gone already.',
    args: { id: t.arg.id({ required: true, description: 'The migration.' }) },
    resolve: (_root, { id }, context) => ringFor(context, cancelMigration(context.database, context, id)),
  }),
}));
