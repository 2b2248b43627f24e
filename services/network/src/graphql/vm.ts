import { can } from '@novacron/contracts';
import { isId } from '@novacron/core';
import type { NicWithGroups } from '../loaders.ts';
import { builder } from './context.ts';
import { Network } from './network.ts';
import { SecurityGroup } from './security-group.ts';

export const VmNic = builder.objectRef<NicWithGroups>('VmNic').implement({
  description: 'A network interface of a VM.',
  tokenScopes: ['network:read'],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    mac: t.exposeString('mac', { description: 'Its MAC address, unique in the fleet.' }),
    network: t.field({ type: Network, description: 'What it is on.', resolve: (nic, _args, { loaders }) => loaders.network.load(nic.networkId) as never }), // a NIC's network can't be deleted
    address: t.exposeString('address', {
      nullable: true,
      description: "The address that is reserved for it and that DHCP gives its guest; null on QEMU's user-mode network.",
    }),
    ipAddresses: t.exposeStringList('seenAddresses', {
      description: 'The addresses that its guest has, as the lease and the guest agent said last; none until it has one, and while the VM is off.',
    }),
    securityGroups: t.field({ type: [SecurityGroup], listSize: { assumedSize: 2 }, description: 'What it lets through; none: everything but what is spoofed.', resolve: (nic) => nic.groups.map(({ group }) => group) }),
  }),
});

/** vms' VM, to which this adds its NICs. */
const Vm = builder.externalRef('Vm', builder.selection<{ id: string }>('id'));
Vm.implement({
  description: 'A VM.',
  externalFields: (t) => ({ id: t.id({ description: 'Its id.' }) }),
  fields: (t) => ({
    nics: t.field({
      type: [VmNic],
      listSize: { assumedSize: 2 },
      description: 'Its network interfaces, oldest first.',
      async resolve({ id }, _args, { viewer, loaders }) {
        if (!can(viewer, 'network:read') || !isId(id)) return [];
        return (await loaders.nicsOfVm.load(id)).filter((nic) => can(viewer, 'network:read', nic.tenantId));
      },
    }),
  }),
});
