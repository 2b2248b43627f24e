import type { Subject } from './cases.ts';

/** What the stranger has of its own. */
export interface Own {
  tenantId: string;
  vmId: string;
  nicId: string;
}

interface Crossing {
  title: string;
  document: string;
  variables(subject: Subject, own: Own): object;
  field: string;
}

const createVm = (what: string, field: string, input: (subject: Subject) => object): Crossing => ({
  title: `a VM of its own with ${what}`,
  document: 'mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id } } }',
  variables: (subject, { tenantId }) => ({ input: { name: subject.unique, tenantId, kernel: { kernel: subject.kernel }, networks: [], start: false, ...input(subject) } }),
  field,
});

/** A tenant's objects are NOT_FOUND also where they are asked for together with one's own. */
export const CROSSINGS: readonly Crossing[] = [
  createVm('an image of another tenant', 'imageId', ({ imageId }) => ({ imageId, kernel: null })),
  createVm('a volume of another tenant', 'volumes', ({ volumeId }) => ({ volumes: [volumeId] })),
  createVm('a network of another tenant', 'networks', ({ networkId }) => ({ networks: [networkId] })),
  createVm('a place beside a VM of another tenant', 'placement.affinity', ({ vmId }) => ({ placement: { affinity: [vmId] } })),
  createVm('a place apart from a VM of another tenant', 'placement.antiAffinity', ({ vmId }) => ({ placement: { antiAffinity: [vmId] } })),
  {
    title: 'a NIC of its own VM on a network of another tenant',
    document: 'mutation ($input: AttachNicInput!) { attachNic(input: $input) { nic { id } } }',
    variables: ({ networkId }, { vmId }) => ({ input: { vmId, networkId } }),
    field: 'networkId',
  },
  {
    title: 'a NIC of its own under a security group of another tenant',
    document: 'mutation ($nicId: ID!, $ids: [ID!]!) { setNicSecurityGroups(nicId: $nicId, securityGroupIds: $ids) { nic { id } } }',
    variables: ({ securityGroupId }, { nicId }) => ({ nicId, ids: [securityGroupId] }),
    field: 'securityGroupIds',
  },
  {
    title: 'a volume of its own with what is in a snapshot of another tenant',
    document: 'mutation ($input: CreateVolumeInput!) { createVolume(input: $input) { volume { id } } }',
    variables: ({ snapshotId, unique }, { tenantId }) => ({ input: { name: unique, tenantId, snapshotId } }),
    field: 'snapshotId',
  },
];
