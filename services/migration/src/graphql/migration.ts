import { requireScope, requireViewer } from '@novacron/contracts';
import type { ErrorRecord } from '@novacron/core';
import { connectionType, entityStub, migrationStateEnum, operationErrorType, pageArguments } from '@novacron/graphql';
import type { MigrationRow } from '../database.ts';
import { listMigrations, viewMigration } from '../list-migrations.ts';
import { builder } from './context.ts';

const MigrationState = migrationStateEnum(builder);
const OperationError = operationErrorType(builder);
export const Operation = entityStub(builder, 'Operation', 'A piece of work that was accepted and will end.');

/** Entities that migration adds fields to: see vm.ts and host.ts. */
export const Vm = builder.externalRef('Vm', builder.selection<{ id: string }>('id')).implement({
  description: 'A VM.',
  externalFields: (t) => ({ id: t.id({ description: 'Its id.' }) }),
});
export const Host = builder.externalRef('Host', builder.selection<{ id: string }>('id')).implement({
  description: 'A host.',
  externalFields: (t) => ({ id: t.id({ description: 'Its id.' }) }),
});

export const Migration = builder.objectRef<MigrationRow>('Migration').implement({
  description: 'A move of a VM from one host to another. What is measured is null until libvirt has said it; sizes are bytes.',
  tokenScopes: ['migration:read'],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    vm: t.field({ type: Vm, description: 'The VM that moves.', resolve: ({ vmId }) => ({ id: vmId }) }),
    from: t.field({ type: Host, description: 'Where it was.', resolve: ({ fromHostId }) => ({ id: fromHostId }) }),
    to: t.field({ type: Host, description: 'Where it goes.', resolve: ({ toHostId }) => ({ id: toHostId }) }),
    mode: t.string({ description: 'LIVE: while it runs. OFFLINE: while it is off.', resolve: ({ mode }) => mode }),
    copyStorage: t.exposeBoolean('copyStorage', { description: 'Are disks copied that the hosts do not share?' }),
    bandwidthBytesPerSecond: t.float({
      nullable: true,
      description: 'At most so much is sent; null: as much as there is.',
      resolve: ({ bandwidthBytesPerSecond }) => (bandwidthBytesPerSecond === null ? null : Number(bandwidthBytesPerSecond)),
    }),
    // These two the events subgraph also provides, from the event itself.
    state: t.field({ type: MigrationState, shareable: true, description: 'How far it has come.', resolve: ({ state }) => state }),
    progress: t.exposeFloat('progress', { shareable: true, description: 'Share of what is to be sent that was sent, 0..1.' }),
    generation: t.exposeInt('generation', { description: 'Grows with every change.' }),
    message: t.exposeString('message', { nullable: true, description: 'What a person might want to know of it now.' }),
    memoryTotal: t.field({ type: 'ByteSize', nullable: true, description: "The guest's memory.", resolve: (row) => row.memoryTotal }),
    memoryTransferred: t.field({ type: 'ByteSize', nullable: true, description: 'Memory sent, some of it more than once.', resolve: (row) => row.memoryTransferred }),
    memoryRemaining: t.field({ type: 'ByteSize', nullable: true, description: 'Memory still to be sent.', resolve: (row) => row.memoryRemaining }),
    disksTransferred: t.field({ type: 'ByteSize', nullable: true, description: 'What was copied of its disks; of a VM that is off, of their files.', resolve: (row) => row.disksTransferred }),
    throughputBytesPerSecond: t.exposeFloat('throughput', { nullable: true, description: 'How fast it is sent.' }),
    dirtyRateBytesPerSecond: t.exposeFloat('dirtyRate', { nullable: true, description: 'How fast the guest changes memory that was sent already.' }),
    iteration: t.exposeInt('iteration', { nullable: true, description: 'How often its memory has been gone through.' }),
    autoConverge: t.exposeBoolean('autoConverge', { description: 'Was the guest slowed down, so that its memory could be caught up with?' }),
    predictedDurationMs: t.exposeFloat('predictedDurationMs', { nullable: true, description: 'How long it still takes, at this pace; null where it would not end.' }),
    downtimeMs: t.exposeFloat('downtimeMs', { nullable: true, description: 'How long the guest stood still: expected while it moves, measured once it is over.' }),
    startedAt: t.field({ type: 'DateTime', nullable: true, description: 'When its first step was begun.', resolve: (row) => row.startedAt }),
    finishedAt: t.field({ type: 'DateTime', nullable: true, description: 'When it was over.', resolve: (row) => row.finishedAt }),
    error: t.field({
      type: OperationError,
      nullable: true,
      description: 'Why it failed.',
      resolve: ({ error }) => error as ErrorRecord | null, // written by the hold step as one
    }),
    operation: t.field({ type: Operation, description: 'The operation that carries it out.', resolve: ({ operationId }) => ({ id: operationId }) }),
  }),
});

builder.asEntity(Migration, {
  key: builder.selection<{ id: string }>('id'),
  resolveReference: async ({ id }, { viewer, loaders }) => {
    requireScope(viewer, ['migration:read']);
    return viewMigration(await loaders.migration.load(id), viewer);
  },
});

export const MigrationConnection = connectionType(builder, 'Migration', Migration);

const MigrationFilter = builder.inputType('MigrationFilter', {
  description: 'Which migrations: all that is given must match.',
  fields: (t) => ({
    vmId: t.id({ description: 'Of this VM.' }),
    states: t.field({ type: [MigrationState], description: 'In one of these states.' }),
  }),
});

builder.queryFields((t) => ({
  migration: t.field({
    type: Migration,
    nullable: true,
    description: 'The migration with this id; null where there is none, or none that you may read.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    resolve: async (_root, { id }, { viewer, loaders }) => {
      const known = requireViewer(viewer);
      return viewMigration(await loaders.migration.load(id), known);
    },
  }),
  migrations: t.field({
    type: MigrationConnection,
    description: 'The migrations of the tenants where you hold migration:read. The newest first.',
    args: { ...pageArguments(t.arg), filter: t.arg({ type: MigrationFilter, description: 'Which of them.' }) },
    resolve: (_root, args, { database, viewer }) => listMigrations(database, viewer, args),
  }),
}));
