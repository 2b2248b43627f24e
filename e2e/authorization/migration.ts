import { byScope, CONTRIBUTED_MEMBERS, CONTRIBUTED_PLATFORM_ADMINS, ENTITY_MEMBERS, MEMBERS_IN_LISTS, ofHost, OPERATORS, reads, type Cases } from './cases.ts';

export const migration: Cases = {
  roots: {
    ...reads('migration', 'migrations', ({ migrationId }) => migrationId),
    'Mutation.migrateVm': {
      document: 'mutation ($input: MigrateVmInput!) { migrateVm(input: $input) { migration { id } operation { id } } }',
      variables: ({ vmId, otherHostId }) => ({ input: { vmId, hostId: otherHostId, mode: 'OFFLINE' } }),
      vm: 'STOPPED',
      prepare: async (fixtures) => ({ vmId: (await fixtures.stoppedVm()).id }),
      expect: OPERATORS,
    },
    'Mutation.cancelMigration': {
      document: 'mutation ($id: ID!) { cancelMigration(id: $id) { migration { id state } operation { id } } }',
      variables: ({ migrationId }) => ({ id: migrationId }),
      prepare: async (fixtures) => ({ migrationId: await fixtures.migrationUnderWay() }),
      after: (fixtures) => fixtures.thaw(),
      expect: OPERATORS,
    },
    'Subscription.migrationProgress': {
      document: 'subscription ($id: ID!, $after: String) { migrationProgress(id: $id, after: $after) { id state } }',
      variables: ({ migrationId, cursor }) => ({ id: migrationId, after: cursor }),
      shows: ({ id }, { migrationId }) => id === migrationId,
      expect: byScope(MEMBERS_IN_LISTS),
    },
  },
  entities: {
    Migration: { idOf: ({ migrationId }) => migrationId, fields: 'id state vm { id }', shows: ({ state }) => state !== null, expect: ENTITY_MEMBERS },
    Vm: {
      idOf: ({ movedVmId }) => movedVmId,
      fields: 'id migrations { totalCount edges { node { id } } }',
      shows: ({ migrations }) => migrations.totalCount > 0 || migrations.edges.length > 0,
      expect: { ...CONTRIBUTED_MEMBERS, anonymous: 'UNAUTHENTICATED' },
    },
    Host: {
      idOf: ({ hostId }) => hostId,
      fields: 'id drainBlockers { reason }',
      shows: ({ drainBlockers }) => drainBlockers !== null,
      showsEmpty: true,
      expect: CONTRIBUTED_PLATFORM_ADMINS,
    },
  },
  fields: { 'Host.drainBlockers': ofHost('drainBlockers { reason }') },
};
