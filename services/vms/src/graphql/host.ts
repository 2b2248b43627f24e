import { can, FLEET_SCOPES, requireScope, requireViewer } from '@novacron/contracts';
import { isId } from '@novacron/core';
import { byId, connectionType, containing, forwardArguments, hostStateEnum, parsePage, toConnection } from '@novacron/graphql';
import { ringFor } from '@novacron/operations';
import type { HostRow } from '../database.ts';
import { setHostMaintenance, type HostAccepted } from '../maintain-host.ts';
import { isMigrationEncrypted, registerHost } from '../register-host.ts';
import { Operation } from './stubs.ts';
import { builder } from './context.ts';

const HostState = hostStateEnum(builder);

const HypervisorInfo = builder.objectRef<HostRow>('HypervisorInfo').implement({
  description: 'What runs the VMs of a host.',
  fields: (t) => ({
    type: t.exposeString('hypervisorType', { description: "libvirt's driver: QEMU, TEST, LXC." }),
    version: t.exposeString('hypervisorVersion', { nullable: true, description: "The hypervisor's version; null until the host was seen." }),
    libvirtVersion: t.exposeString('libvirtVersion', { nullable: true, description: "libvirt's version; null until the host was seen." }),
    accelerated: t.exposeBoolean('accelerated', {
      description: 'Do guests run on the CPU itself (KVM)? Proven by booting one, not assumed. Else they are emulated (TCG), and slow.',
    }),
  }),
});

const HostResources = builder.objectRef<{ vcpus: number; memory: bigint }>('HostResources').implement({
  description: 'Room for VMs.',
  fields: (t) => ({
    vcpus: t.exposeInt('vcpus', { description: 'Virtual CPUs.' }),
    memory: t.field({ type: 'ByteSize', description: 'Memory.', resolve: (resources) => resources.memory }),
  }),
});

export const Host = builder.objectRef<HostRow>('Host').implement({
  description: 'A machine that runs VMs. Every signed-in user sees its id, name, state and hypervisor; the rest needs host:read.',
  tokenScopes: FLEET_SCOPES,
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: 'Its name, unique in the fleet.' }),
    state: t.field({ type: HostState, description: 'Whether it can be worked with.', resolve: (host) => host.state }),
    problem: t.string({
      nullable: true,
      description: 'Why it is OFFLINE. Needs host:read.',
      resolve: (host, _args, { viewer }) => (can(viewer, 'host:read') ? host.problem : null),
    }),
    uri: t.string({
      nullable: true,
      description: 'How NovaCron reaches its libvirt. Needs host:read.',
      resolve: (host, _args, { viewer }) => (can(viewer, 'host:read') ? host.uri : null),
    }),
    migrationUri: t.string({
      nullable: true,
      description: 'How other hosts reach its libvirt; null: no VM can be migrated to it or from it. Needs host:read.',
      resolve: (host, _args, { viewer }) => (can(viewer, 'host:read') ? host.migrationUri : null),
    }),
    migrationEncrypted: t.boolean({
      nullable: true,
      description: 'Is what a migration to it sends encrypted (TLS)? An administrator who registers a qemu+tcp migrationUri has said that it need not be. Needs host:read.',
      resolve: (host, _args, { viewer }) => (can(viewer, 'host:read') ? isMigrationEncrypted(host.migrationUri) : null),
    }),
    overlayAddress: t.string({
      nullable: true,
      description: 'Its address on the network that overlays run over. Needs host:read.',
      resolve: (host, _args, { viewer }) => (can(viewer, 'host:read') ? host.overlayAddress : null),
    }),
    hypervisor: t.field({ type: HypervisorInfo, description: 'What runs its VMs.', resolve: (host) => host }),
    capacity: t.field({
      type: HostResources,
      nullable: true,
      description: 'What it can promise, overcommit applied. Needs host:read.',
      resolve: (host, _args, { viewer }) => (can(viewer, 'host:read') ? { vcpus: host.capacityVcpus, memory: host.capacityMemory } : null),
    }),
    allocated: t.field({
      type: HostResources,
      nullable: true,
      description: 'What it has promised: the sum of claims, each held from placement to deletion, running or not. Needs host:read.',
      resolve: (host, _args, { viewer }) => (can(viewer, 'host:read') ? { vcpus: host.allocatedVcpus, memory: host.allocatedMemory } : null),
    }),
    labels: t.field({
      type: 'JSON',
      nullable: true,
      description: 'Its labels, which placement can require. Needs host:read.',
      resolve: (host, _args, { viewer }) => (can(viewer, 'host:read') ? host.labels : null),
    }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was registered.', resolve: (host) => host.createdAt }),
  }),
});
builder.asEntity(Host, {
  key: builder.selection<{ id: string }>('id'),
  resolveReference: ({ id }, { viewer, loaders }) => {
    requireScope(viewer, FLEET_SCOPES);
    return viewer === null || !isId(id) ? null : loaders.host.load(id);
  },
});

const HostFilter = builder.inputType('HostFilter', {
  description: 'Which hosts: all that is given must match.',
  fields: (t) => ({
    states: t.field({ type: [HostState], description: 'In one of these states.' }),
    search: t.string({ description: 'With this text in the name, whatever its case.' }),
  }),
});

const HostConnection = connectionType(builder, 'Host', Host);

builder.queryFields((t) => ({
  host: t.field({
    type: Host,
    nullable: true,
    description: 'One host; null when there is none with this id.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    resolve: (_root, { id }, { viewer, loaders }) => {
      requireViewer(viewer);
      return isId(id) ? loaders.host.load(id) : null;
    },
  }),
  hosts: t.field({
    type: HostConnection,
    description: 'The fleet, oldest first.',
    args: { ...forwardArguments(t.arg), filter: t.arg({ type: HostFilter, description: 'Which hosts.' }) },
    resolve: async (_root, { filter, ...paging }, { viewer, database }) => {
      requireViewer(viewer);
      const page = parsePage(paging);
      const where = {
        ...(filter?.states ? { state: { in: filter.states } } : {}),
        ...(filter?.search ? { name: containing(filter.search) } : {}),
      };
      const { where: after, ...order } = byId(page);
      const rows = await database.host.findMany({ where: { AND: [where, after] }, ...order });
      return toConnection(rows, page, (host) => [host.id], () => database.host.count({ where }));
    },
  }),
}));

const RegisterHostInput = builder.inputType('RegisterHostInput', {
  description: 'A host for the fleet.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Its name: 1-63 of a-z, 0-9 and -, unique in the fleet.' }),
    uri: t.string({
      required: true,
      description:
        'How its agent reaches libvirt: qemu:///system, qemu+unix:///system?socket=/path, qemu+tls://host/system, qemu+ssh://user@host/system?keyfile=/path or qemu+tcp://host/system.',
    }),
    migrationUri: t.string({ description: 'How other hosts reach its libvirt, for migration: qemu+tls://host/system, qemu+ssh://host/system, or qemu+tcp://host/system, in the clear.' }),
    overlayAddress: t.string({ description: 'Its IPv4 address on the network that overlays run over; that of its migrationUri unless given.' }),
    labels: t.field({ type: 'JSON', description: 'Labels for placement, an object of plain values: { "zone": "a" }.' }),
  }),
});

builder.mutationField('registerHost', (t) =>
  t.field({
    type: Host,
    requiresScopes: [['host:register']],
    description:
      'Takes a host into the fleet. Answers at once; the host is OFFLINE until its agent has seen it. Errors: FORBIDDEN, BAD_USER_INPUT (name, uri, labels), ALREADY_EXISTS (name, uri).',
    args: { input: t.arg({ type: RegisterHostInput, required: true, description: 'The host.' }) },
    resolve: async (_root, { input }, { viewer, database, onHostRegistered }) => {
      const host = await registerHost(database, viewer, input);
      onHostRegistered();
      return host;
    },
  }),
);

const HostPayload = builder.objectRef<HostAccepted>('HostPayload').implement({
  description: 'A host, and the operation that changes it.',
  fields: (t) => ({
    host: t.field({ type: Host, description: 'The host as it is now.', resolve: ({ host }) => host }),
    operation: t.field({ type: Operation, description: 'The operation; watch it with operationChanged.', resolve: ({ operationId }) => ({ id: operationId }) }),
  }),
});

builder.mutationField('setHostMaintenance', (t) =>
  t.field({
    type: HostPayload,
    requiresScopes: [['host:maintain']],
    cost: 50, // each of its VMs is migrated
    description:
      'Takes a host out of service: it takes no new VMs, and those on it are migrated elsewhere, each by an operation below this one; then it is in MAINTENANCE. Where some can not move, the operation fails and says which and why, and the host stays DRAINING. Off: the host is in service again. Errors: NOT_FOUND, FORBIDDEN, INVALID_STATE, UNAVAILABLE.',
    args: {
      id: t.arg.id({ required: true, description: 'The host.' }),
      on: t.arg.boolean({ required: true, description: 'Out of service, or back into it.' }),
    },
    resolve: (_root, { id, on }, context) => ringFor(context, setHostMaintenance(context.database, context, id, on)),
  }),
);
