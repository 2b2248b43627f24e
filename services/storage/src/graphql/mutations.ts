import { ringFor } from '@novacron/operations';
import { createStoragePool, type AcceptedPool } from '../create-pool.ts';
import { createVolume } from '../create-volume.ts';
import { attachVolume, deleteVolume, deleteVolumeSnapshot, detachVolume, resizeVolume, snapshotVolume, type Accepted } from '../change-volume.ts';
import { builder } from './context.ts';
import { StoragePool } from './pool.ts';
import { Operation } from './stubs.ts';
import { Volume } from './volume.ts';

const VolumePayload = builder.objectRef<Accepted>('VolumePayload').implement({
  description: 'A volume, and the operation that changes it.',
  fields: (t) => ({
    volume: t.field({
      type: Volume,
      description: 'The volume as it is now.',
      resolve: async ({ volumeId, volume }, _args, { database }) => volume ?? database.volume.findUniqueOrThrow({ where: { id: volumeId } }),
    }),
    operation: t.field({ type: Operation, description: 'The operation; watch it with operationChanged.', resolve: ({ operationId }) => ({ id: operationId }) }),
  }),
});

const StoragePoolPayload = builder.objectRef<AcceptedPool>('StoragePoolPayload').implement({
  description: 'A storage pool, and the operation that makes it.',
  fields: (t) => ({
    storagePool: t.field({ type: StoragePool, description: 'The pool as it is now.', resolve: ({ pool }) => pool }),
    operation: t.field({ type: Operation, description: 'The operation; watch it with operationChanged.', resolve: ({ operationId }) => ({ id: operationId }) }),
  }),
});

const CreateStoragePoolInput = builder.inputType('CreateStoragePoolInput', {
  description: 'A directory for volumes.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1-63 of a-z, 0-9 and -; no host has two pools of one name. Volumes are copied between pools of one name when a VM is migrated.' }),
    hostIds: t.idList({ required: true, description: 'The hosts that have it: one, or, of a shared pool, several.' }),
    path: t.string({ required: true, description: 'The directory, absolute, the same on all of its hosts; made where it is not there.' }),
    tier: t.string({ description: 'What kind of storage it is: "standard" unless given.' }),
    shared: t.boolean({ description: 'All of its hosts see the same files there. Proven: the first one writes a file, and every other must see it.' }),
  }),
});

const CreateVolumeInput = builder.inputType('CreateVolumeInput', {
  description: 'A volume to be made.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1-63 of a-z, 0-9 and -, unique in its tenant.' }),
    size: t.field({ type: 'ByteSize', description: 'How large, in whole MiB, 1 MiB to 64 TiB. Needed unless it is made from a snapshot.' }),
    poolId: t.id({ description: 'Where: in the pool with most room unless given.' }),
    format: t.string({ description: 'qcow2 (unless given) or raw.' }),
    encrypted: t.boolean({ description: 'Encrypt it with LUKS: with a key of its own, that never leaves NovaCron but into the memory of the libvirt that needs it.' }),
    snapshotId: t.id({ description: 'With what is in this snapshot of a volume of the tenant.' }),
    tenantId: t.id({ description: 'Whose it is: needed when you are in several tenants.' }),
    idempotencyKey: t.string({ description: 'Makes a repeated request harmless: the same key with the same input answers the first result, for 24 hours.' }),
  }),
});

const MORE = 'Asked again while in flight, it answers the same operation. Errors: NOT_FOUND, FORBIDDEN, INVALID_STATE, QUOTA_EXCEEDED (operations in flight), UNAVAILABLE (no host that has its pool is online).';

builder.mutationFields((t) => {
  const id = t.arg.id({ required: true, description: 'The volume.' });
  return {
    createStoragePool: t.field({
      type: StoragePoolPayload,
      requiresScopes: [['pool:create']],
      description: 'Makes a storage pool. Errors: FORBIDDEN, BAD_USER_INPUT (name, hostIds, path, tier), NOT_FOUND (hostIds), ALREADY_EXISTS (name), UNAVAILABLE (hostIds).',
      args: { input: t.arg({ type: CreateStoragePoolInput, required: true, description: 'The pool.' }) },
      resolve: (_root, { input }, context) => ringFor(context, createStoragePool(context.database, context, input)),
    }),
    createVolume: t.field({
      type: VolumePayload,
      description:
        'Makes a volume. Errors: FORBIDDEN, BAD_USER_INPUT, NOT_FOUND (tenantId, poolId, snapshotId), ALREADY_EXISTS (name), NO_CAPACITY (size), QUOTA_EXCEEDED (size), INVALID_STATE, UNAVAILABLE, CONFLICT (idempotencyKey).',
      args: { input: t.arg({ type: CreateVolumeInput, required: true, description: 'The volume.' }) },
      resolve: (_root, { input }, context) => ringFor(context, createVolume(context.database, context.secrets, context, input)),
    }),
    resizeVolume: t.field({
      type: VolumePayload,
      description: `Makes a volume larger; a guest that runs on it sees it at once. ${MORE} BAD_USER_INPUT, NO_CAPACITY and QUOTA_EXCEEDED (size).`,
      args: { id, size: t.arg({ type: 'ByteSize', required: true, description: 'Its new size, in whole MiB.' }) },
      resolve: (_root, args, context) => ringFor(context, resizeVolume(context.database, context, args.id, Number(args.size))),
    }),
    attachVolume: t.field({
      type: VolumePayload,
      description: `Gives a VM a volume, also while it runs. ${MORE} A volume can only go to a VM whose host has its pool.`,
      args: { volumeId: t.arg.id({ required: true, description: 'The volume.' }), vmId: t.arg.id({ required: true, description: 'The VM, of the same tenant.' }) },
      resolve: (_root, args, context) => ringFor(context, attachVolume(context.database, context, args.volumeId, args.vmId)),
    }),
    detachVolume: t.field({
      type: VolumePayload,
      description: `Takes a volume from its VM, also while it runs: once the guest has let go of it. ${MORE}`,
      args: { volumeId: t.arg.id({ required: true, description: 'The volume.' }) },
      resolve: (_root, args, context) => ringFor(context, detachVolume(context.database, context, args.volumeId)),
    }),
    deleteVolume: t.field({
      type: VolumePayload,
      description: `Deletes a volume that no VM has and that has no snapshots, with all that is in it. ${MORE}`,
      args: { id },
      resolve: (_root, args, context) => ringFor(context, deleteVolume(context.database, context, args.id)),
    }),
    snapshotVolume: t.field({
      type: VolumePayload,
      cost: 20, // a full copy
      description: `Keeps what is in a volume now, as a full copy; no VM may have it. ${MORE} BAD_USER_INPUT and ALREADY_EXISTS (name), NO_CAPACITY.`,
      args: { id, name: t.arg.string({ required: true, description: "The snapshot's name, unique among those of the volume." }) },
      resolve: (_root, args, context) => ringFor(context, snapshotVolume(context.database, context, args.id, args.name)),
    }),
    deleteVolumeSnapshot: t.field({
      type: VolumePayload,
      description: `Deletes a snapshot. ${MORE}`,
      args: { id: t.arg.id({ required: true, description: 'The snapshot.' }) },
      resolve: (_root, args, context) => ringFor(context, deleteVolumeSnapshot(context.database, context, args.id)),
    }),
  };
});
