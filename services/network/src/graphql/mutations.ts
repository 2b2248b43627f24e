import { ringFor } from '@novacron/operations';
import type { NetworkRow } from '../database.ts';
import type { GroupWithRules, NicWithGroups } from '../loaders.ts';
import { createNetwork, deleteNetwork } from '../networks.ts';
import { attachNic, detachNic, setNicSecurityGroups } from '../nics.ts';
import type { Accepted } from '../requests.ts';
import { LIMITS } from '../rules.ts';
import { createSecurityGroup, deleteSecurityGroup, updateSecurityGroup } from '../security-groups.ts';
import { builder } from './context.ts';
import { Network } from './network.ts';
import { RuleDirection, RuleProtocol, SecurityGroup } from './security-group.ts';
import { Operation } from './stubs.ts';
import { VmNic } from './vm.ts';

builder.mutationType({ description: 'What can be changed.' });

const OPERATION = 'The operation; watch it with operationChanged.';

const NetworkPayload = builder.objectRef<Accepted<NetworkRow>>('NetworkPayload').implement({
  description: 'A network, and the operation that changes it.',
  fields: (t) => ({
    network: t.field({ type: Network, description: 'The network as the mutation left it.', resolve: ({ row }) => row }),
    operation: t.field({ type: Operation, description: OPERATION, resolve: ({ operationId }) => ({ id: operationId }) }),
  }),
});

const NicPayload = builder.objectRef<Accepted<NicWithGroups>>('NicPayload').implement({
  description: 'A NIC, and the operation that changes it.',
  fields: (t) => ({
    nic: t.field({ type: VmNic, description: 'The NIC as the mutation left it.', resolve: ({ row }) => row }),
    operation: t.field({ type: Operation, description: OPERATION, resolve: ({ operationId }) => ({ id: operationId }) }),
  }),
});

const SecurityGroupPayload = builder.objectRef<Accepted<GroupWithRules>>('SecurityGroupPayload').implement({
  description: 'A security group, and the operation that brings it to the hosts.',
  fields: (t) => ({
    securityGroup: t.field({ type: SecurityGroup, description: 'The group as it is now.', resolve: ({ row }) => row }),
    operation: t.field({ type: Operation, description: OPERATION, resolve: ({ operationId }) => ({ id: operationId }) }),
  }),
});

const CreateNetworkInput = builder.inputType('CreateNetworkInput', {
  description: 'A network to be made.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1-63 of a-z, 0-9 and -, unique in its tenant.' }),
    kind: t.string({ description: "How far it reaches: NAT (unless given), on each host for itself and out through the host's own address; ISOLATED, on each host for itself; OVERLAY, across hosts, in a VXLAN tunnel." }),
    cidr: t.string({
      description: `Its addresses, "10.1.0.0/24": from /${LIMITS.prefix.largest} to /${LIMITS.prefix.smallest}, apart from the tenant's other networks and the default one. A free range unless given.`,
    }),
    tenantId: t.id({ description: 'Whose it is: your only tenant unless given.' }),
    idempotencyKey: t.string({ description: 'Asked again with the same key and input, it answers the first result.' }),
  }),
});

const SecurityRuleInput = builder.inputType('SecurityRuleInput', {
  description: 'What a security group lets through; answers to it come back by themselves.',
  fields: (t) => ({
    direction: t.field({ type: RuleDirection, required: true, description: 'Which way it is begun.' }),
    protocol: t.field({ type: RuleProtocol, required: true, description: 'What it is about.' }),
    portFrom: t.int({ description: 'The first port it is begun to, of TCP and UDP: any unless given.' }),
    portTo: t.int({ description: 'The last such port: portFrom unless given.' }),
    cidr: t.string({ description: 'The other side, "10.1.0.0/24" or "10.1.0.5": anyone unless given.' }),
  }),
});

const CreateSecurityGroupInput = builder.inputType('CreateSecurityGroupInput', {
  description: 'A security group to be made.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1-63 of a-z, 0-9 and -, unique in its tenant.' }),
    description: t.string({ description: 'What it is for.' }),
    rules: t.field({ type: [SecurityRuleInput], description: `What it lets through: nothing unless given, ${LIMITS.rules.most} rules at most.` }),
    tenantId: t.id({ description: 'Whose it is: your only tenant unless given.' }),
  }),
});

const UpdateSecurityGroupInput = builder.inputType('UpdateSecurityGroupInput', {
  description: 'What to change of a security group; what is left out stays.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The group.' }),
    name: t.string({ description: 'Its new name.' }),
    description: t.string({ description: 'What it is for.' }),
    rules: t.field({ type: [SecurityRuleInput], description: 'Its new rules, all of them.' }),
  }),
});

const AttachNicInput = builder.inputType('AttachNicInput', {
  description: 'A NIC for a VM.',
  fields: (t) => ({
    vmId: t.id({ required: true, description: 'The VM.' }),
    networkId: t.id({ required: true, description: 'What the NIC is on.' }),
    mac: t.string({ description: 'Its MAC address, unique in the fleet: chosen unless given.' }),
    address: t.string({ description: "Its address: the network's lowest free one unless given." }),
    securityGroupIds: t.idList({ description: 'What it lets through: everything but what is spoofed unless given.' }),
  }),
});

builder.mutationFields((t) => ({
  createNetwork: t.field({
    type: NetworkPayload,
    description:
      'Makes a network. Hosts get it when one of their VMs needs it. Errors: FORBIDDEN, BAD_USER_INPUT (name, cidr, tenantId), ALREADY_EXISTS (name), NOT_FOUND (tenantId), INVALID_STATE (kind), NO_CAPACITY (cidr), QUOTA_EXCEEDED, CONFLICT (idempotencyKey).',
    args: { input: t.arg({ type: CreateNetworkInput, required: true, description: 'The network.' }) },
    resolve: (_root, { input }, context) => ringFor(context, createNetwork(context.database, context, input)),
  }),
  deleteNetwork: t.field({
    type: NetworkPayload,
    description: 'Removes a network that no NIC is on. Errors: NOT_FOUND, FORBIDDEN, INVALID_STATE (NICs are on it; it is the default one).',
    args: { id: t.arg.id({ required: true, description: 'The network.' }) },
    resolve: (_root, { id }, context) => ringFor(context, deleteNetwork(context.database, context, id)),
  }),
  createSecurityGroup: t.field({
    type: SecurityGroup,
    description: 'Makes a security group. Errors: FORBIDDEN, BAD_USER_INPUT (name, description, rules), ALREADY_EXISTS (name), NOT_FOUND (tenantId), QUOTA_EXCEEDED.',
    args: { input: t.arg({ type: CreateSecurityGroupInput, required: true, description: 'The group.' }) },
    resolve: (_root, { input }, context) => createSecurityGroup(context.database, context, input),
  }),
  updateSecurityGroup: t.field({
    type: SecurityGroupPayload,
    description:
      'Changes a security group, also for guests that run; a host that is offline gets it when it is back. Errors: NOT_FOUND, FORBIDDEN, BAD_USER_INPUT (name, description, rules), ALREADY_EXISTS (name).',
    args: { input: t.arg({ type: UpdateSecurityGroupInput, required: true, description: 'What to change.' }) },
    resolve: (_root, { input }, context) => ringFor(context, updateSecurityGroup(context.database, context, input)),
  }),
  deleteSecurityGroup: t.field({
    type: SecurityGroup,
    description: 'Removes a security group that no NIC has. Errors: NOT_FOUND, FORBIDDEN, INVALID_STATE (NICs have it).',
    args: { id: t.arg.id({ required: true, description: 'The group.' }) },
    resolve: (_root, { id }, context) => deleteSecurityGroup(context.database, context, id),
  }),
  attachNic: t.field({
    type: NicPayload,
    description:
      'Gives a VM a NIC, also while it runs. Errors: NOT_FOUND (vmId, networkId, securityGroupIds), FORBIDDEN, BAD_USER_INPUT (mac, address, securityGroupIds), ALREADY_EXISTS (mac, address), NO_CAPACITY (networkId), INVALID_STATE (vmId, networkId), QUOTA_EXCEEDED, UNAVAILABLE.',
    args: { input: t.arg({ type: AttachNicInput, required: true, description: 'The NIC.' }) },
    resolve: (_root, { input }, context) => ringFor(context, attachNic(context.database, context, input)),
  }),
  detachNic: t.field({
    type: NicPayload,
    description: 'Takes a NIC from its VM, also while it runs; its address is free then. Errors: NOT_FOUND, FORBIDDEN, INVALID_STATE, UNAVAILABLE.',
    args: { id: t.arg.id({ required: true, description: 'The NIC.' }) },
    resolve: (_root, { id }, context) => ringFor(context, detachNic(context.database, context, id)),
  }),
  setNicSecurityGroups: t.field({
    type: NicPayload,
    description: 'Puts a NIC under these security groups and no others, also while its VM runs. Errors: NOT_FOUND (securityGroupIds), FORBIDDEN, BAD_USER_INPUT (securityGroupIds), INVALID_STATE.',
    args: {
      nicId: t.arg.id({ required: true, description: 'The NIC.' }),
      securityGroupIds: t.arg.idList({ required: true, description: 'The groups; none: everything but what is spoofed is let through.' }),
    },
    resolve: (_root, { nicId, securityGroupIds }, context) => ringFor(context, setNicSecurityGroups(context.database, context, nicId, securityGroupIds)),
  }),
}));
