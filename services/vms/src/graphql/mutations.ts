import type { RequestContext } from '@novacron/contracts';
import { ringFor } from '@novacron/operations';
import { beginVerb, updateVm, type Accepted } from '../change-vm.ts';
import { createVm, planVm } from '../create-vm.ts';
import type { ChangeVerb } from '../may-begin.ts';
import { builder, type VmsContext } from './context.ts';
import { PlacementDecision } from './placement.ts';
import { Operation } from './stubs.ts';
import { Vm } from './vm.ts';

const VmPayload = builder.objectRef<Accepted>('VmPayload').implement({
  description: 'A VM, and the operation that changes it.',
  fields: (t) => ({
    vm: t.field({
      type: Vm,
      description: 'The VM as it is now.',
      resolve: async ({ vmId, vm }, _args, { database }) => vm ?? database.vm.findUniqueOrThrow({ where: { id: vmId } }),
    }),
    operation: t.field({ type: Operation, description: 'The operation; watch it with operationChanged.', resolve: ({ operationId }) => ({ id: operationId }) }),
  }),
});

const DirectKernelBoot = builder.inputType('DirectKernelBoot', {
  description: 'Boots a kernel directly. Paths are on the host, absolute, and below NOVACRON_BOOT_DIRS also after .. and links.',
  fields: (t) => ({
    kernel: t.string({ required: true, description: 'Path of the kernel.' }),
    initrd: t.string({ description: 'Path of the initial RAM disk.' }),
    cmdline: t.string({ description: "The kernel's command line: console=ttyS0 unless given." }),
  }),
});

const PlacementPolicyInput = builder.inputType('PlacementPolicyInput', {
  description: 'Where the VM may go.',
  fields: (t) => ({
    hostId: t.id({ description: 'On this host and no other.' }),
    strategy: t.string({ description: 'SPREAD (the default): where most is free. PACK: where least is, so that other hosts stay empty.' }),
    affinity: t.idList({ description: 'On a host with one of these VMs.' }),
    antiAffinity: t.idList({ description: 'On no host with one of these VMs.' }),
    requireLabels: t.field({ type: 'JSON', description: 'Labels that the host must have: { "zone": "a" }.' }),
  }),
});

const CloudInitInput = builder.inputType('CloudInitInput', {
  description: 'What cloud-init in the guest is told, by a NoCloud seed that is attached to the VM as a disk.',
  fields: (t) => ({
    hostname: t.string({ description: "The guest's host name: the VM's name unless given." }),
    sshKeys: t.stringList({ description: 'Public keys that may sign in, as lines of an authorized_keys file.' }),
    sshKeyIds: t.idList({ description: 'Keys of yours that may sign in as well: see addSshKey and User.sshKeys.' }),
    withMySshKeys: t.boolean({ description: 'All your keys may sign in, as they are now.' }),
    userData: t.string({ description: '#cloud-config or a script, up to 64 KiB. Kept sealed; no field shows it again.' }),
    networkConfig: t.string({ description: 'Network configuration, version 1 or 2, up to 64 KiB.' }),
  }),
});

const CreateVmInput = builder.inputType('CreateVmInput', {
  description: 'A VM to be made.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1-63 of a-z, 0-9 and -, unique in its tenant.' }),
    vcpus: t.int({ description: 'Virtual CPUs: 1 unless given, 255 at most.' }),
    memory: t.field({ type: 'ByteSize', description: 'Memory in whole MiB: 512 MiB unless given.' }),
    imageId: t.id({ description: 'Its boot disk is a copy-on-write clone of this image.' }),
    bootDiskSize: t.field({ type: 'ByteSize', description: "Size of the boot disk in whole MiB, no less than the image's: as large as the image unless given." }),
    kernel: t.field({ type: DirectKernelBoot, description: 'A kernel that it boots directly, instead of from its first disk.' }),
    volumes: t.idList({ description: 'Volumes of the tenant to attach: up to 16, free ones.' }),
    networks: t.idList({ description: "An interface in each of these networks: the tenant's default network when left out; [] for none." }),
    cloudInit: t.field({ type: CloudInitInput, description: 'What cloud-init in the guest is told.' }),
    tags: t.stringList({ description: 'Up to 50 tags.' }),
    placement: t.field({ type: PlacementPolicyInput, description: 'Where it may go: anywhere unless given.' }),
    start: t.boolean({ defaultValue: true, description: 'Start it when it is made.' }),
    tenantId: t.id({ description: 'Whose it is: needed when you are in several tenants.' }),
    idempotencyKey: t.string({
      description: 'Makes a repeated request harmless: the same key with the same input answers the first result, for 24 hours.',
    }),
  }),
});

const UpdateVmInput = builder.inputType('UpdateVmInput', {
  description: 'What to change of a VM; what is left out stays.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The VM.' }),
    name: t.string({ description: 'Its new name.' }),
    tags: t.stringList({ description: 'Its new tags, all of them.' }),
    ifGeneration: t.int({ description: 'Only if this is still its generation; else CONFLICT.' }),
  }),
});

const begin = (context: VmsContext & RequestContext, verb: ChangeVerb, id: string, options?: { force?: boolean; keepVolumes?: boolean }): Promise<Accepted> =>
  ringFor(context, beginVerb(context.database, context, verb, id, options));

const MORE = 'Asked again while in flight, it answers the same operation. Errors: NOT_FOUND, FORBIDDEN, INVALID_STATE, QUOTA_EXCEEDED (operations in flight), UNAVAILABLE (its host is offline).';

builder.queryField('planVm', (t) =>
  t.field({
    type: PlacementDecision,
    description: 'Where would this VM go, and why? Nothing is changed. Errors: as createVm, but for NO_CAPACITY, which the decision explains.',
    args: { input: t.arg({ type: CreateVmInput, required: true, description: 'The VM.' }) },
    resolve: (_root, { input }, { viewer, database, bootDirectories }) => planVm(database, viewer, input, bootDirectories),
  }),
);

builder.mutationFields((t) => {
  const id = t.arg.id({ required: true, description: 'The VM.' });
  return {
    createVm: t.field({
      type: VmPayload,
      description:
        'Makes a VM, with its disks and interfaces, and starts it. Errors: BAD_USER_INPUT, ALREADY_EXISTS (name), NOT_FOUND (tenantId, placement.hostId, imageId, volumes, networks), INVALID_STATE (imageId, volumes), QUOTA_EXCEEDED, NO_CAPACITY, CONFLICT (idempotencyKey).',
      args: { input: t.arg({ type: CreateVmInput, required: true, description: 'The VM.' }) },
      resolve: (_root, { input }, context) => ringFor(context, createVm(context.database, context, input, context)),
    }),
    updateVm: t.field({
      type: VmPayload,
      description: 'Renames or tags a VM. Errors: NOT_FOUND, FORBIDDEN, BAD_USER_INPUT, ALREADY_EXISTS (name), CONFLICT (ifGeneration).',
      args: { input: t.arg({ type: UpdateVmInput, required: true, description: 'What to change.' }) },
      resolve: (_root, { input }, context) => ringFor(context, updateVm(context.database, context, input)),
    }),
    startVm: t.field({
      type: VmPayload,
      description: `Starts a VM that is off. ${MORE}`,
      args: { id },
      resolve: (_root, args, context) => begin(context, 'start', args.id),
    }),
    stopVm: t.field({
      type: VmPayload,
      description: `Asks the guest to shut down; with force, pulls the plug, also while it is being asked. ${MORE}`,
      args: { id, force: t.arg.boolean({ defaultValue: false, description: 'Pull the plug.' }) },
      resolve: (_root, args, context) => begin(context, 'stop', args.id, { force: args.force ?? false }),
    }),
    rebootVm: t.field({
      type: VmPayload,
      description: `Asks the guest to reboot; with force, presses the reset button. ${MORE}`,
      args: { id, force: t.arg.boolean({ defaultValue: false, description: 'Press the reset button.' }) },
      resolve: (_root, args, context) => begin(context, 'reboot', args.id, { force: args.force ?? false }),
    }),
    pauseVm: t.field({
      type: VmPayload,
      description: `Holds the CPUs of a running VM; its memory stays. ${MORE}`,
      args: { id },
      resolve: (_root, args, context) => begin(context, 'pause', args.id),
    }),
    resumeVm: t.field({
      type: VmPayload,
      description: `Lets the CPUs of a paused VM go again. ${MORE}`,
      args: { id },
      resolve: (_root, args, context) => begin(context, 'resume', args.id),
    }),
    deleteVm: t.field({
      type: VmPayload,
      description: `Removes a VM from its host, running or not, with its boot disk and its seed, and frees its name; volumes that were attached to it are free. ${MORE}`,
      args: { id, keepVolumes: t.arg.boolean({ defaultValue: false, description: 'Keep its boot disk, too, as a volume.' }) },
      resolve: (_root, args, context) => begin(context, 'delete', args.id, { keepVolumes: args.keepVolumes ?? false }),
    }),
  };
});
