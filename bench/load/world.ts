import type { NewEvent, VmFacts } from '@novacron/contracts';
import { parseId, type TenantId, type VmId } from '@novacron/core';

/** Whose all VMs are, in whichever process their world is. */
export const WORLD_TENANT = parseId<TenantId>('0198a2b4-0000-7000-8000-000000000001', 'tenant');

const FACTS: VmFacts = { name: 'web', state: 'RUNNING', desiredState: 'RUNNING', generation: 1, hostId: null, tags: [] };

/** A change of a VM's name, as its service would commit it. */
export const vmChanged = ({ vmId, name }: Change): NewEvent => ({ type: 'vm.changed', tenantId: WORLD_TENANT, entityId: vmId, before: FACTS, after: { ...FACTS, name } });

/** What happened to a VM. */
export interface Change {
  vmId: VmId;
  name: string;
}
