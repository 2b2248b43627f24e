import { byScope, CONTRIBUTED_MEMBERS, ENTITY_MEMBERS, EVERYONE, OPERATORS, PLATFORM_ADMINS, reads, type Cases, type RootCase } from './cases.ts';

const CHANGED = '{ volume { id } operation { id } }';
const verb = (field: string, prepare: NonNullable<RootCase['prepare']>, args = ''): RootCase => ({
  document: `mutation ($id: ID!) { ${field}(id: $id${args}) ${CHANGED} }`,
  variables: ({ volumeId }) => ({ id: volumeId }),
  prepare,
  expect: OPERATORS,
});

export const storage: Cases = {
  roots: {
    ...reads('image', 'images', ({ imageId }) => imageId),
    'Mutation.importImage': {
      document: 'mutation ($input: ImportImageInput!) { importImage(input: $input) { image { id } operation { id } } }',
      variables: ({ tenantId, unique }) => ({ input: { name: unique, tenantId, url: 'http://127.0.0.1/' } }),
      expect: OPERATORS,
    },
    'Mutation.createImageUpload': {
      document: 'mutation ($input: ImageUploadInput!) { createImageUpload(input: $input) { image { id } url } }',
      variables: ({ tenantId, unique }) => ({ input: { name: unique, tenantId, format: 'raw', sha256: '0'.repeat(64), size: 512 } }),
      expect: OPERATORS,
    },
    'Mutation.deleteImage': {
      document: 'mutation ($id: ID!) { deleteImage(id: $id) { image { id } operation { id } } }',
      variables: ({ imageId }) => ({ id: imageId }),
      prepare: async (fixtures) => ({ imageId: await fixtures.image() }),
      expect: byScope(OPERATORS),
    },

    ...reads('storagePool', 'storagePools', ({ poolId }) => poolId, [EVERYONE, EVERYONE]),
    'Mutation.createStoragePool': {
      document: 'mutation ($input: CreateStoragePoolInput!) { createStoragePool(input: $input) { storagePool { id } operation { id } } }',
      variables: ({ unique, hostId }) => ({ input: { name: unique, hostIds: [hostId], path: `/var/lib/libvirt/${unique}` } }),
      expect: PLATFORM_ADMINS,
    },

    ...reads('volume', 'volumes', ({ volumeId }) => volumeId),
    'Mutation.createVolume': {
      document: `mutation ($input: CreateVolumeInput!) { createVolume(input: $input) ${CHANGED} }`,
      variables: ({ tenantId, unique }) => ({ input: { name: unique, tenantId, size: '1MiB' } }),
      expect: OPERATORS,
    },
    'Mutation.resizeVolume': verb('resizeVolume', async (fixtures) => ({ volumeId: (await fixtures.volume()).id }), ', size: "16MiB"'),
    'Mutation.deleteVolume': verb('deleteVolume', async (fixtures) => ({ volumeId: (await fixtures.volume()).id })),
    'Mutation.snapshotVolume': {
      document: `mutation ($id: ID!, $name: String!) { snapshotVolume(id: $id, name: $name) ${CHANGED} }`,
      variables: ({ volumeId, unique }) => ({ id: volumeId, name: unique }),
      expect: OPERATORS,
    },
    'Mutation.deleteVolumeSnapshot': {
      document: `mutation ($id: ID!) { deleteVolumeSnapshot(id: $id) ${CHANGED} }`,
      variables: ({ snapshotId }) => ({ id: snapshotId }),
      prepare: async (fixtures, { volumeId }) => ({ snapshotId: await fixtures.snapshot(volumeId) }),
      expect: OPERATORS,
    },
    'Mutation.attachVolume': {
      document: `mutation ($volumeId: ID!, $vmId: ID!) { attachVolume(volumeId: $volumeId, vmId: $vmId) ${CHANGED} }`,
      variables: ({ volumeId, vmId }) => ({ volumeId, vmId }),
      prepare: async (fixtures) => ({ volumeId: (await fixtures.volume()).id, vmId: await fixtures.spareVm() }),
      expect: OPERATORS,
    },
    'Mutation.detachVolume': {
      document: `mutation ($id: ID!) { detachVolume(volumeId: $id) ${CHANGED} }`,
      variables: ({ attachedVolumeId }) => ({ id: attachedVolumeId }),
      prepare: async (fixtures) => ({ attachedVolumeId: await fixtures.attachedVolume() }),
      expect: OPERATORS,
    },
  },
  entities: {
    Image: { idOf: ({ imageId }) => imageId, fields: 'id name state', shows: ({ name }) => name !== null, expect: ENTITY_MEMBERS },
    StoragePool: {
      idOf: ({ poolId }) => poolId,
      fields: 'id name state',
      shows: ({ name }) => name !== null,
      expect: { ...ENTITY_MEMBERS, stranger: 'ok' },
    },
    Volume: { idOf: ({ volumeId }) => volumeId, fields: 'id name snapshots { name }', shows: ({ name }) => name !== null, expect: ENTITY_MEMBERS },
    Vm: {
      idOf: ({ vmId }) => vmId,
      fields: 'id disks { device volume { id } } volumes { id }',
      shows: ({ disks, volumes }) => disks.length > 0 || volumes.length > 0,
      expect: CONTRIBUTED_MEMBERS,
    },
  },
  fields: {},
};
