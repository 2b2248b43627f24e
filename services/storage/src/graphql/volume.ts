import { can, requireScope, requireViewer, tenantsWith } from '@novacron/contracts';
import { isId } from '@novacron/core';
import { connectionType, forwardArguments } from '@novacron/graphql';
import type { SnapshotRow, VolumeRow } from '../database.ts';
import { listVolumes } from '../list-volumes.ts';
import { builder } from './context.ts';
import { StoragePool } from './pool.ts';
import { Tenant, User } from './stubs.ts';

const VolumeSnapshot = builder.objectRef<SnapshotRow>('VolumeSnapshot').implement({
  description: 'What a volume was at one time: a full copy of it, in the same pool.',
  tokenScopes: ['volume:read'],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: 'Its name, unique among those of its volume.' }),
    size: t.field({ type: 'ByteSize', description: 'How large the volume was.', resolve: (snapshot) => snapshot.size }),
    state: t.string({ description: 'CREATING, AVAILABLE or DELETING.', resolve: (snapshot) => snapshot.state }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was asked for.', resolve: (snapshot) => snapshot.createdAt }),
  }),
});

export const Volume = builder.objectRef<VolumeRow>('Volume').implement({
  description: 'A disk that VMs can have.',
  tokenScopes: ['volume:read'],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id; a guest finds its beginning as the serial number of the disk.' }),
    name: t.exposeString('name', { description: 'Its name, unique in its tenant.' }),
    state: t.string({
      description: 'CREATING, AVAILABLE, ATTACHING, IN_USE, DETACHING, RESIZING, SNAPSHOTTING, DELETING, DELETED or ERROR.',
      resolve: (volume) => volume.state,
    }),
    problem: t.exposeString('problem', { nullable: true, description: 'Why it is in ERROR, or what the last operation on it failed for.' }),
    generation: t.exposeInt('generation', { description: 'Grows with every change.' }),
    size: t.field({ type: 'ByteSize', description: 'What a guest sees; all of it is promised by its pool.', resolve: (volume) => volume.size }),
    allocated: t.field({ type: 'ByteSize', nullable: true, description: 'What it takes up now, as libvirt last said.', resolve: (volume) => volume.allocated }),
    format: t.exposeString('format', { description: 'qcow2 or raw.' }),
    encrypted: t.exposeBoolean('encrypted', { description: 'Is it encrypted with LUKS, by a key that only NovaCron has?' }),
    pool: t.field({ type: StoragePool, description: 'Where it is kept.', resolve: async (volume, _args, { loaders }) => (await loaders.pool.load(volume.poolId)) as never }), // a volume's pool is never removed
    device: t.exposeString('target', { nullable: true, description: 'What its VM finds it as: "vdb".' }),
    snapshots: t.field({ type: [VolumeSnapshot], listSize: { assumedSize: 3 }, description: 'Its snapshots, oldest first.', resolve: (volume, _args, { loaders }) => loaders.snapshotsOf.load(volume.id) }),
    tenant: t.field({ type: Tenant, description: 'Whose it is.', resolve: (volume) => ({ id: volume.tenantId }) }),
    createdBy: t.field({ type: User, nullable: true, description: 'Who made it.', resolve: (volume) => (volume.createdBy === null ? null : { id: volume.createdBy }) }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was asked for.', resolve: (volume) => volume.createdAt }),
  }),
});
builder.asEntity(Volume, {
  key: builder.selection<{ id: string }>('id'),
  async resolveReference({ id }, { viewer, loaders }) {
    requireScope(viewer, ['volume:read']);
    const volume = isId(id) ? await loaders.volume.load(id) : null;
    return volume && can(viewer, 'volume:read', volume.tenantId) ? volume : null;
  },
});

const VolumeFilter = builder.inputType('VolumeFilter', {
  description: 'Which volumes: all that is given must match.',
  fields: (t) => ({
    tenantId: t.id({ description: 'Of this tenant.' }),
    poolId: t.id({ description: 'In this storage pool.' }),
    vmId: t.id({ description: 'Attached to this VM.' }),
    state: t.string({ description: 'In this state.' }),
    search: t.string({ description: 'With this text in the name, whatever its case.' }),
  }),
});

export const VolumeConnection = connectionType(builder, 'Volume', Volume);

builder.queryFields((t) => ({
  volume: t.field({
    type: Volume,
    nullable: true,
    description: 'One volume; null when there is none with this id that you may see.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    async resolve(_root, { id }, { viewer, loaders }) {
      requireViewer(viewer);
      const volume = isId(id) ? await loaders.volume.load(id) : null;
      return volume && can(viewer, 'volume:read', volume.tenantId) ? volume : null;
    },
  }),
  volumes: t.field({
    type: VolumeConnection,
    description: 'The volumes that you may see, oldest first. Deleted ones are in no list.',
    args: { ...forwardArguments(t.arg), filter: t.arg({ type: VolumeFilter, description: 'Which volumes.' }) },
    resolve: (_root, { filter, ...paging }, { viewer, database }) =>
      listVolumes(database, { tenants: tenantsWith(requireViewer(viewer), 'volume:read'), filter, paging }),
  }),
}));
