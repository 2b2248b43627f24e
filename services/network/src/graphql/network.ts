import { can, requireScope, requireViewer, tenantsWith, type Viewer } from '@novacron/contracts';
import { isId } from '@novacron/core';
import { byId, connectionType, forwardArguments, parsePage, toConnection } from '@novacron/graphql';
import type { NetworkHostRow, NetworkRow } from '../database.ts';
import { builder } from './context.ts';
import { Host, Tenant } from './stubs.ts';

const NetworkState = builder.enumType('NetworkState', {
  description: 'Whether NICs can be on a network.',
  values: { READY: { description: 'They can.' }, DELETING: { description: 'It is being removed.' } } as const,
});

const NetworkHostState = builder.enumType('NetworkHostState', {
  description: 'How a network is on one host.',
  values: {
    PENDING: { description: 'Wanted there, not up yet.' },
    READY: { description: 'Up.' },
    FAILED: { description: 'Not up: see problem.' },
  } as const,
});

const NetworkOnHost = builder.objectRef<NetworkHostRow>('NetworkOnHost').implement({
  description: 'A network on one of the hosts that have it.',
  fields: (t) => ({
    host: t.field({ type: Host, description: 'The host.', resolve: (row) => ({ id: row.hostId }) }),
    state: t.field({ type: NetworkHostState, description: 'How it is there.', resolve: (row) => row.state }),
    cidr: t.exposeString('cidr', {
      nullable: true,
      description: "Its addresses there. The default network has others where the fleet's are taken; null: the host's guests are on QEMU's user-mode network.",
    }),
    problem: t.string({
      nullable: true,
      description: 'Why it is FAILED. Needs host:read.',
      resolve: (row, _args, { viewer }) => (can(viewer, 'host:read') ? row.problem : null),
    }),
  }),
});

/** A tenant's networks are its own; the default one is everyone's. */
export const mayReadNetwork = (viewer: Viewer | null, network: NetworkRow): boolean => can(viewer, 'network:read', network.tenantId ?? undefined);

export const Network = builder.objectRef<NetworkRow>('Network').implement({
  description: 'What NICs are on: a range of addresses, and how far it reaches. A host has it while one of its VMs needs it.',
  tokenScopes: ['network:read'],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: 'Its name, unique in its tenant.' }),
    kind: t.exposeString('kind', {
      description: "How far it reaches. NAT: on each host for itself, and out through the host's own address. ISOLATED: on each host for itself. OVERLAY: across hosts, in a VXLAN tunnel.",
    }),
    cidr: t.exposeString('cidr', { description: 'Its addresses: the first is its own, as the gateway; the last is for broadcasts.' }),
    vni: t.exposeInt('vni', { nullable: true, description: 'Its number on the wire, where it is an OVERLAY.' }),
    isDefault: t.exposeBoolean('isDefault', { description: 'Do VMs get a NIC on it that ask for no network? There is one, and it is everyone\'s.' }),
    state: t.field({ type: NetworkState, description: 'Whether NICs can be on it.', resolve: (network) => network.state }),
    tenant: t.field({
      type: Tenant,
      nullable: true,
      description: "Whose it is; null: everyone's.",
      resolve: (network) => (network.tenantId === null ? null : { id: network.tenantId }),
    }),
    hosts: t.field({
      type: [Host],
      description: 'The hosts that have it now.',
      resolve: async (network, _args, { loaders }) => (await loaders.hostsOfNetwork.load(network.id)).map(({ hostId }) => ({ id: hostId })),
    }),
    onHosts: t.field({
      type: [NetworkOnHost],
      description: 'How it is on each of them.',
      resolve: (network, _args, { loaders }) => loaders.hostsOfNetwork.load(network.id),
    }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was made.', resolve: (network) => network.createdAt }),
  }),
});
builder.asEntity(Network, {
  key: builder.selection<{ id: string }>('id'),
  async resolveReference({ id }, { viewer, loaders }) {
    requireScope(viewer, ['network:read']);
    const network = isId(id) ? await loaders.network.load(id) : null;
    return network && mayReadNetwork(viewer, network) ? network : null;
  },
});

const NetworkConnection = connectionType(builder, 'Network', Network);

builder.queryFields((t) => ({
  network: t.field({
    type: Network,
    nullable: true,
    description: 'One network; null when there is none with this id that you may see.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    async resolve(_root, { id }, { viewer, loaders }) {
      requireViewer(viewer);
      const network = isId(id) ? await loaders.network.load(id) : null;
      return network && mayReadNetwork(viewer, network) ? network : null;
    },
  }),
  networks: t.field({
    type: NetworkConnection,
    description: 'The networks that you may see, and the default one; oldest first.',
    args: forwardArguments(t.arg),
    async resolve(_root, paging, { viewer, database }) {
      const tenants = tenantsWith(requireViewer(viewer), 'network:read');
      const page = parsePage(paging);
      const where = tenants === 'all' ? {} : tenants.length === 0 ? { id: { in: [] } } : { OR: [{ tenantId: { in: tenants } }, { tenantId: null }] };
      const { where: after, ...order } = byId(page);
      const rows = await database.network.findMany({ where: { AND: [where, after] }, ...order });
      return toConnection(rows, page, (network) => [network.id], () => database.network.count({ where }));
    },
  }),
}));
