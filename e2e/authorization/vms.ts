import { byScope, CONTRIBUTED_MEMBERS, CONTRIBUTED_PLATFORM_ADMINS, ENTITY_MEMBERS, EVERYONE, MEMBERS_IN_LISTS, ofHost, OPERATORS, PLATFORM_ADMINS, reads, type Cases, type RootCase, type Subject } from './cases.ts';

const HOUR_MS = 60 * 60_000;

const verb = (field: string, more: Pick<RootCase, 'vm' | 'prepare'>, args = ''): RootCase => ({
  document: `mutation ($id: ID!) { ${field}(id: $id${args}) { vm { id } operation { id } } }`,
  variables: ({ vmId }) => ({ id: vmId }),
  ...more,
  expect: OPERATORS,
});
const vmInput = ({ tenantId, unique, kernel }: Subject) => ({ input: { name: unique, tenantId, memory: '64MiB', kernel: { kernel }, networks: [], start: false } });

export const vms: Cases = {
  roots: {
    ...reads('host', 'hosts', ({ hostId }) => hostId, [EVERYONE, EVERYONE]),
    ...reads('vm', 'vms', ({ vmId }) => vmId),
    'Query.planVm': {
      document: 'query ($input: CreateVmInput!) { planVm(input: $input) { strategy chosen { id } } }',
      variables: vmInput,
      expect: OPERATORS,
    },
    'Mutation.registerHost': {
      document: 'mutation ($input: RegisterHostInput!) { registerHost(input: $input) { id } }',
      variables: ({ unique }) => ({ input: { name: unique, uri: `qemu+unix:///system?socket=/run/novacron-test/${unique}` } }),
      expect: PLATFORM_ADMINS,
    },
    'Mutation.setHostMaintenance': {
      document: 'mutation ($id: ID!) { setHostMaintenance(id: $id, on: true) { host { id state } operation { id } } }',
      variables: ({ otherHostId }) => ({ id: otherHostId }),
      after: (fixtures, { otherHostId }) => fixtures.backInService(otherHostId),
      expect: PLATFORM_ADMINS,
    },
    'Mutation.createVm': {
      document: 'mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id } operation { id } } }',
      variables: vmInput,
      expect: OPERATORS,
    },
    'Mutation.updateVm': {
      document: 'mutation ($input: UpdateVmInput!) { updateVm(input: $input) { vm { id } operation { id } } }',
      variables: ({ vmId, unique }) => ({ input: { id: vmId, tags: [unique] } }),
      expect: OPERATORS,
    },
    'Mutation.startVm': verb('startVm', { vm: 'STOPPED' }),
    'Mutation.stopVm': verb('stopVm', { vm: 'RUNNING' }, ', force: true'),
    'Mutation.rebootVm': verb('rebootVm', { vm: 'RUNNING' }, ', force: true'),
    'Mutation.pauseVm': verb('pauseVm', { vm: 'RUNNING' }),
    'Mutation.resumeVm': verb('resumeVm', { vm: 'PAUSED' }),
    'Mutation.deleteVm': verb('deleteVm', { prepare: async (fixtures) => ({ vmId: (await fixtures.stoppedVm()).id }) }),
    'Subscription.vmChanged': { document: 'subscription { vmChanged { vm { id } } }', shows: ({ vm }, { vmId }) => vm.id === vmId, expect: byScope(MEMBERS_IN_LISTS) },
  },
  entities: {
    Vm: { idOf: ({ vmId }) => vmId, fields: 'id name state', shows: ({ name }) => name !== null, expect: ENTITY_MEMBERS },
    Host: { idOf: ({ hostId }) => hostId, fields: 'id name state', shows: ({ name }) => name !== null, expect: { ...ENTITY_MEMBERS, stranger: 'ok' } },
  },
  fields: {
    'Host.uri': ofHost('uri'),
    'Host.migrationUri': ofHost('migrationUri'),
    'Host.migrationEncrypted': ofHost('migrationEncrypted'),
    'Host.overlayAddress': ofHost('overlayAddress'),
    'Host.labels': ofHost('labels'),
    'Host.capacity': ofHost('capacity { vcpus }'),
    'Host.allocated': ofHost('allocated { vcpus }'),
    'Host.problem': { ...ofHost('problem'), prepare: async (fixtures) => ({ hostId: await fixtures.unreachableHost() }) },
  },
};

export const operations: Cases = {
  roots: {
    ...reads('operation', 'operations', ({ operationId }) => operationId),
    'Mutation.cancelOperation': {
      document: 'mutation ($id: ID!) { cancelOperation(id: $id) { id state } }',
      variables: ({ operationId }) => ({ id: operationId }),
      prepare: async (fixtures) => ({ operationId: await fixtures.operationUnderWay() }),
      after: (fixtures) => fixtures.thaw(),
      expect: OPERATORS,
    },
    'Subscription.operationChanged': {
      document: 'subscription { operationChanged { id targetId } }',
      shows: ({ targetId }, { vmId }) => targetId === vmId,
      expect: byScope(MEMBERS_IN_LISTS),
    },
  },
  entities: {
    Operation: { idOf: ({ operationId }) => operationId, fields: 'id kind state', shows: ({ kind }) => kind !== null, expect: ENTITY_MEMBERS },
    Vm: {
      idOf: ({ vmId }) => vmId,
      fields: 'id operations { totalCount edges { node { id } } }',
      shows: ({ operations: found }) => found.totalCount > 0 || found.edges.length > 0,
      expect: { ...CONTRIBUTED_MEMBERS, anonymous: 'UNAUTHENTICATED' },
    },
  },
  fields: {},
};

export const monitoring: Cases = {
  roots: {
    'Subscription.vmMetrics': {
      document: 'subscription { vmMetrics(intervalMs: 1000) { vm { id } cpu } }',
      vm: 'RUNNING',
      shows: ({ vm }, { vmId }) => vm.id === vmId,
      expect: byScope(MEMBERS_IN_LISTS),
    },
    'Subscription.hostMetrics': {
      document: 'subscription { hostMetrics(intervalMs: 1000) { host { id } cpu } }',
      shows: ({ host }, { hostId }) => host.id === hostId,
      expect: PLATFORM_ADMINS,
    },
  },
  entities: {
    Vm: {
      idOf: ({ vmId }) => vmId,
      fields: `id metrics { cpu } metricsHistory(from: "${new Date(Date.now() - HOUR_MS).toISOString()}") { cpu }`,
      shows: ({ metrics, metricsHistory }) => metrics !== null || metricsHistory.length > 0,
      expect: CONTRIBUTED_MEMBERS,
    },
    Host: { idOf: ({ hostId }) => hostId, fields: 'id metrics { cpu }', shows: ({ metrics }) => metrics !== null, expect: CONTRIBUTED_PLATFORM_ADMINS },
  },
  fields: { 'Host.metrics': ofHost('metrics { cpu }') },
};
