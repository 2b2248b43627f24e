import { CONTRIBUTED_MEMBERS, ENTITY_MEMBERS, lists, MEMBERS_IN_LISTS, OPERATORS, PLATFORM_ADMINS_FIELD, reads, type Cases } from './cases.ts';

const NIC = '{ nic { id } operation { id } }';
const RULES = [{ direction: 'INGRESS', protocol: 'TCP', portFrom: 22 }];

export const network: Cases = {
  roots: {
    ...reads('network', 'networks', ({ networkId }) => networkId),
    'Mutation.createNetwork': {
      document: 'mutation ($input: CreateNetworkInput!) { createNetwork(input: $input) { network { id } operation { id } } }',
      variables: ({ tenantId, unique }) => ({ input: { name: unique, tenantId } }),
      expect: OPERATORS,
    },
    'Mutation.deleteNetwork': {
      document: 'mutation ($id: ID!) { deleteNetwork(id: $id) { network { id } operation { id } } }',
      variables: ({ networkId }) => ({ id: networkId }),
      prepare: async (fixtures) => ({ networkId: await fixtures.network() }),
      expect: OPERATORS,
    },

    'Query.securityGroups': {
      document: '{ securityGroups(first: 500) { edges { node { id } } } }',
      shows: lists(({ securityGroupId }) => securityGroupId),
      expect: MEMBERS_IN_LISTS,
    },
    'Mutation.createSecurityGroup': {
      document: 'mutation ($input: CreateSecurityGroupInput!) { createSecurityGroup(input: $input) { id } }',
      variables: ({ tenantId, unique }) => ({ input: { name: unique, tenantId, rules: RULES } }),
      expect: OPERATORS,
    },
    'Mutation.updateSecurityGroup': {
      document: 'mutation ($input: UpdateSecurityGroupInput!) { updateSecurityGroup(input: $input) { securityGroup { id } operation { id } } }',
      variables: ({ securityGroupId, unique }) => ({ input: { id: securityGroupId, name: unique, rules: RULES } }),
      expect: OPERATORS,
    },
    'Mutation.deleteSecurityGroup': {
      document: 'mutation ($id: ID!) { deleteSecurityGroup(id: $id) { id } }',
      variables: ({ securityGroupId }) => ({ id: securityGroupId }),
      prepare: async (fixtures) => ({ securityGroupId: await fixtures.securityGroup() }),
      expect: OPERATORS,
    },

    'Mutation.attachNic': {
      document: `mutation ($input: AttachNicInput!) { attachNic(input: $input) ${NIC} }`,
      variables: ({ vmId, networkId }) => ({ input: { vmId, networkId } }),
      prepare: async (fixtures) => ({ vmId: await fixtures.spareVm() }),
      expect: OPERATORS,
    },
    'Mutation.detachNic': {
      document: `mutation ($id: ID!) { detachNic(id: $id) ${NIC} }`,
      variables: ({ nicId }) => ({ id: nicId }),
      prepare: async (fixtures, { networkId }) => ({ nicId: await fixtures.nic(networkId) }),
      expect: OPERATORS,
    },
    'Mutation.setNicSecurityGroups': {
      document: `mutation ($nicId: ID!, $ids: [ID!]!) { setNicSecurityGroups(nicId: $nicId, securityGroupIds: $ids) ${NIC} }`,
      variables: ({ nicId, securityGroupId }) => ({ nicId, ids: [securityGroupId] }),
      expect: OPERATORS,
    },
  },
  entities: {
    Network: { idOf: ({ networkId }) => networkId, fields: 'id name cidr', shows: ({ name }) => name !== null, expect: ENTITY_MEMBERS },
    SecurityGroup: { idOf: ({ securityGroupId }) => securityGroupId, fields: 'id name rules { protocol }', shows: ({ name }) => name !== null, expect: ENTITY_MEMBERS },
    Vm: { idOf: ({ vmId }) => vmId, fields: 'id nics { mac network { id } }', shows: ({ nics }) => nics.length > 0, expect: CONTRIBUTED_MEMBERS },
  },
  fields: {
    'NetworkOnHost.problem': {
      document: 'query ($id: ID!) { network(id: $id) { field: onHosts { problem } } }',
      variables: ({ networkId }) => ({ id: networkId }),
      prepare: async (fixtures) => ({ networkId: await fixtures.brokenNetwork() }),
      pick: (hosts) => hosts[0]?.problem,
      expect: PLATFORM_ADMINS_FIELD,
    },
  },
};
