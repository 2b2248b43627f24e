import { can } from '@novacron/contracts';
import { isId } from '@novacron/core';
import type { VolumeRow } from '../database.ts';
import { builder, type StorageContext } from './context.ts';
import { Volume } from './volume.ts';

const VmDisk = builder.objectRef<VolumeRow>('VmDisk').implement({
  description: 'A disk of a VM.',
  fields: (t) => ({
    device: t.string({ description: 'What the guest finds it as: "vda".', resolve: (volume) => volume.target ?? '' }),
    boot: t.boolean({ description: 'Does the VM boot from it?', resolve: (volume) => volume.bootOrder === 1 }),
    volume: t.field({ type: Volume, description: 'The volume.', resolve: (volume) => volume }),
  }),
});

const volumesOf = async (vmId: string, { viewer, loaders }: StorageContext): Promise<VolumeRow[]> =>
  isId(vmId) ? (await loaders.volumesOf.load(vmId)).filter((volume) => can(viewer, 'volume:read', volume.tenantId)) : [];

/** Entity of vms that storage adds fields to. Whether the VM is there is its owner's to say: it is known by its key alone. */
export const Vm = builder.externalRef('Vm', builder.selection<{ id: string }>('id')).implement({
  description: 'A VM.',
  externalFields: (t) => ({ id: t.id({ description: 'Its id.' }) }),
  fields: (t) => ({
    disks: t.field({ type: [VmDisk], listSize: { assumedSize: 2 }, description: 'Its disks, in the order in which it has them.', resolve: ({ id }, _args, context) => volumesOf(id, context) }),
    volumes: t.field({ type: [Volume], listSize: { assumedSize: 2 }, description: 'The volumes that are its disks.', resolve: ({ id }, _args, context) => volumesOf(id, context) }),
  }),
});

builder.objectField(Volume, 'attachedTo', (t) =>
  t.field({ type: Vm, nullable: true, description: 'The VM that has it, or is getting it.', resolve: (volume) => (volume.vmId === null ? null : { id: volume.vmId }) }),
);
