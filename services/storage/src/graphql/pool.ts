import { FLEET_SCOPES, requireScope, requireViewer } from '@novacron/contracts';
import { isId } from '@novacron/core';
import { byId, connectionType, forwardArguments, parsePage, toConnection } from '@novacron/graphql';
import type { PoolRow } from '../database.ts';
import { builder } from './context.ts';
import { Host } from './stubs.ts';

export const StoragePool = builder.objectRef<PoolRow>('StoragePool').implement({
  description: 'A directory that hosts keep volumes in, each through its own libvirt. Every signed-in user sees it.',
  tokenScopes: FLEET_SCOPES,
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: 'Its name: no host has two pools of one name. libvirt calls it nc-<name>.' }),
    type: t.exposeString('type', { description: "libvirt's type of pool: dir." }),
    tier: t.exposeString('tier', { description: 'What kind of storage its administrator calls it: "standard" unless told.' }),
    shared: t.exposeBoolean('shared', { description: 'Do all of its hosts see the same files? Proven by a marker when it was made.' }),
    state: t.string({ description: 'CREATING, READY, UNAVAILABLE (its libvirt says that it can not be used) or DELETED.', resolve: (pool) => pool.state }),
    capacity: t.field({ type: 'ByteSize', description: 'How large the file system is.', resolve: (pool) => pool.capacity }),
    allocated: t.field({ type: 'ByteSize', description: 'What is promised: the full sizes of all volumes, snapshots and images in it.', resolve: (pool) => pool.claimed }),
    available: t.field({
      type: 'ByteSize',
      description: 'What can still be promised: what others leave of it, times the overcommit, less what is promised.',
      resolve: (pool) => (pool.room > pool.claimed ? pool.room - pool.claimed : 0n),
    }),
    hosts: t.field({
      type: [Host],
      listSize: { assumedSize: 2 },
      description: 'The hosts that have it.',
      resolve: async (pool, _args, { loaders }) => (await loaders.hostsOfPool.load(pool.id)).map((id) => ({ id })),
    }),
    createdAt: t.field({ type: 'DateTime', description: 'Since when it is known.', resolve: (pool) => pool.createdAt }),
  }),
});
builder.asEntity(StoragePool, {
  key: builder.selection<{ id: string }>('id'),
  resolveReference: ({ id }, { viewer, loaders }) => {
    requireScope(viewer, FLEET_SCOPES);
    return viewer === null || !isId(id) ? null : loaders.pool.load(id);
  },
});

const StoragePoolConnection = connectionType(builder, 'StoragePool', StoragePool);

builder.queryFields((t) => ({
  storagePool: t.field({
    type: StoragePool,
    nullable: true,
    description: 'One storage pool; null when there is none with this id.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    resolve: (_root, { id }, { viewer, loaders }) => {
      requireViewer(viewer);
      return isId(id) ? loaders.pool.load(id) : null;
    },
  }),
  storagePools: t.field({
    type: StoragePoolConnection,
    description: 'The storage pools of the fleet, oldest first.',
    args: forwardArguments(t.arg),
    resolve: async (_root, paging, { viewer, database }) => {
      requireViewer(viewer);
      const page = parsePage(paging);
      const { where, ...order } = byId(page);
      const rows = await database.pool.findMany({ where, ...order });
      return toConnection(rows, page, (pool) => [pool.id], () => database.pool.count());
    },
  }),
}));
