import {
  HOST_STATES,
  MIGRATION_STATES,
  OPERATION_STATES,
  VM_STATES,
  type HostSample,
  type HostState,
  type MigrationState,
  type OperationState,
  type RequestContext,
  type VmSample,
  type VmState,
} from '@novacron/contracts';
import { printSubgraphSchema } from '@apollo/subgraph';
import type { ErrorRecord } from '@novacron/core';
import { isTypeSystemExtensionNode, parse, print } from 'graphql';
import { createBuilder, entityStub, toSubgraphSchema, type Builder } from './builder.ts';

/**
 * What more than one subgraph declares, from one source: composition keeps only what all of them agree on, so a
 * copy that drifts would silently lose fields.
 */

const VM_STATE_DESCRIPTIONS: Record<VmState, string> = {
  PENDING: 'Accepted, no worker has begun yet.',
  PROVISIONING: 'Being made on its host.',
  STOPPED: 'Defined on its host, not running.',
  STARTING: 'Being started.',
  RUNNING: 'The hypervisor runs its CPUs.',
  PAUSING: 'Its CPUs are being held.',
  PAUSED: 'In memory, its CPUs held.',
  RESUMING: 'Its CPUs are being let go.',
  STOPPING: 'Asked to shut down, or being unplugged.',
  REBOOTING: 'Being rebooted.',
  MIGRATING: 'Moving to another host.',
  DELETING: 'Being removed from its host.',
  DELETED: 'Gone; the record is kept as long as its events are.',
  CRASHED: 'The guest or its hypervisor process died by itself.',
  ERROR: 'Something is wrong that needs a person; see stateReason.',
  UNKNOWN: 'The hypervisor has not been asked yet, or gave an answer that means nothing to us.',
};

const HOST_STATE_DESCRIPTIONS: Record<HostState, string> = {
  ONLINE: 'Its agent speaks with its hypervisor.',
  OFFLINE: 'No agent reaches its hypervisor; see problem.',
  MAINTENANCE: 'Takes no new VMs.',
  DRAINING: 'Its VMs are moving away.',
};

const OPERATION_STATE_DESCRIPTIONS: Record<OperationState, string> = {
  QUEUED: 'Durable, not begun.',
  RUNNING: 'A worker has it, or it waits for its next try.',
  SUCCEEDED: 'Done.',
  FAILED: 'Not done, and what was begun has been undone; see error.',
  CANCELLING: 'Cancelled; what was begun is being undone.',
  CANCELLED: 'Cancelled, and nothing is left of it.',
};

const MIGRATION_STATE_DESCRIPTIONS: Record<MigrationState, string> = {
  QUEUED: 'Durable, not begun.',
  CHECKING: 'Both hosts are asked whether the VM can move.',
  PREPARING: 'Its networks and disks are being made ready on the target.',
  COPYING_DISKS: 'Its disks are being copied.',
  COPYING_MEMORY: 'Its memory is being copied while it runs.',
  SWITCHING: 'It is held for the last of its memory, then runs on the target.',
  COMPLETING: 'It is on the target; what is left on the source is being removed.',
  SUCCEEDED: 'It is on the target, and nothing of it on the source.',
  FAILED: 'Nothing had been done; the VM is where it was. See error.',
  CANCELLING: 'Cancelled; what was begun is being undone.',
  CANCELLED: 'Cancelled; the VM is where it was.',
  ROLLED_BACK: 'It failed and what had been done was undone; the VM is where it was. See error.',
};

const described = <Name extends string>(descriptions: Record<Name, string>, names: readonly Name[]) =>
  // Pothos wants one literal type per value; the record above is complete by its type
  Object.fromEntries(names.map((name) => [name, { description: descriptions[name] }])) as Record<Name, { description: string }>;

export const vmStateEnum = <C extends RequestContext>(builder: Builder<C>) =>
  builder.enumType('VmState', {
    description: 'What a VM is doing, as the hypervisor last said, or on the way to.',
    values: described(VM_STATE_DESCRIPTIONS, VM_STATES),
  });

export const hostStateEnum = <C extends RequestContext>(builder: Builder<C>) =>
  builder.enumType('HostState', {
    description: 'Whether a host can be worked with.',
    values: described(HOST_STATE_DESCRIPTIONS, HOST_STATES),
  });

export const operationStateEnum = <C extends RequestContext>(builder: Builder<C>) =>
  builder.enumType('OperationState', {
    description: 'How far an operation has come. SUCCEEDED, FAILED and CANCELLED are final.',
    values: described(OPERATION_STATE_DESCRIPTIONS, OPERATION_STATES),
  });

export const migrationStateEnum = <C extends RequestContext>(builder: Builder<C>) =>
  builder.enumType('MigrationState', {
    description: 'How far a migration has come. SUCCEEDED, FAILED, CANCELLED and ROLLED_BACK are final.',
    values: described(MIGRATION_STATE_DESCRIPTIONS, MIGRATION_STATES),
  });

export const vmFilterInput = <C extends RequestContext>(
  builder: Builder<C>,
  states: ReturnType<typeof vmStateEnum<C>>,
) =>
  builder.inputType('VmFilter', {
    description: 'Which VMs: all that is given must match.',
    fields: (t) => ({
      states: t.field({ type: [states], description: 'In one of these states.' }),
      hostId: t.id({ description: 'On this host.' }),
      tenantId: t.id({ description: 'Of this tenant.' }),
      tags: t.stringList({ description: 'With every one of these tags.' }),
      search: t.string({ description: 'With this text in the name, whatever its case.' }),
    }),
  });

const shareable = { directives: [{ name: 'shareable', args: {} }] as never }; // see connection.ts

export const operationErrorType = <C extends RequestContext>(builder: Builder<C>) =>
  builder.objectRef<ErrorRecord>('OperationError').implement({
    description: 'Why something was not done.',
    ...shareable,
    fields: (t) => ({
      code: t.exposeString('code', { description: 'What kind of failure: one of the codes that extensions.code can have.' }),
      message: t.exposeString('message', { description: 'One sentence for a person.' }),
      field: t.string({ nullable: true, description: 'The input at fault.', resolve: (error) => error.field ?? null }),
      retryable: t.exposeBoolean('retryable', { description: 'May the same request succeed when it is sent again later?' }),
    }),
  });

export function metricsTypes<C extends RequestContext>(
  builder: Builder<C>,
  vm: ReturnType<typeof entityStub<C>>,
  host: ReturnType<typeof entityStub<C>>,
) {
  const rate = 'Bytes per second since the sample before.';
  const VmMetrics = builder.objectRef<VmSample>('VmMetrics').implement({
    description: 'One sample of what a VM uses, from its hypervisor.',
    ...shareable,
    fields: (t) => ({
      at: t.field({ type: 'DateTime', description: 'When it was taken.', resolve: (sample) => sample.at }),
      vm: t.field({ type: vm, description: 'The VM it was taken of.', resolve: (sample) => ({ id: sample.vmId }) }),
      cpu: t.exposeFloat('cpu', { description: 'Share of its virtual CPUs in use since the sample before, 0..1.' }),
      memoryUsed: t.field({
        type: 'ByteSize',
        nullable: true,
        description: 'Memory in use inside the guest; null until its balloon driver reports.',
        resolve: (sample) => sample.memoryUsed,
      }),
      memoryTotal: t.field({ type: 'ByteSize', description: 'Memory it was given.', resolve: (sample) => sample.memoryTotal }),
      diskReadBytesPerSecond: t.exposeFloat('diskReadBytesPerSecond', { description: rate }),
      diskWriteBytesPerSecond: t.exposeFloat('diskWriteBytesPerSecond', { description: rate }),
      netReceiveBytesPerSecond: t.exposeFloat('netReceiveBytesPerSecond', { description: rate }),
      netTransmitBytesPerSecond: t.exposeFloat('netTransmitBytesPerSecond', { description: rate }),
    }),
  });
  const HostMetrics = builder.objectRef<HostSample>('HostMetrics').implement({
    description: 'One sample of what a host uses, from its hypervisor.',
    ...shareable,
    fields: (t) => ({
      at: t.field({ type: 'DateTime', description: 'When it was taken.', resolve: (sample) => sample.at }),
      host: t.field({ type: host, description: 'The host it was taken of.', resolve: (sample) => ({ id: sample.hostId }) }),
      cpu: t.exposeFloat('cpu', { description: 'Share of its CPUs in use since the sample before, 0..1.' }),
      memoryUsed: t.field({ type: 'ByteSize', description: 'Memory not free and not reclaimable.', resolve: (sample) => sample.memoryUsed }),
      memoryTotal: t.field({ type: 'ByteSize', description: 'Memory it has.', resolve: (sample) => sample.memoryTotal }),
      vmsRunning: t.exposeInt('vmsRunning', { description: 'How many domains run on it, ours or not.' }),
    }),
  });
  return { VmMetrics, HostMetrics };
}

const STUBS = new Set(['Query', 'Vm', 'Host']);

/** The shared definitions as SDL, without the stubs they need: for the one subgraph that is not built with Pothos (events). */
export function sharedSdl(): string {
  const builder = createBuilder<RequestContext>();
  builder.queryType({ fields: (t) => ({ nothing: t.boolean({ nullable: true, resolve: () => null }) }) });
  vmFilterInput(builder, vmStateEnum(builder));
  operationStateEnum(builder);
  migrationStateEnum(builder);
  metricsTypes(builder, entityStub(builder, 'Vm', 'A VM.'), entityStub(builder, 'Host', 'A host.'));
  const { definitions } = parse(printSubgraphSchema(toSubgraphSchema(builder)));
  return definitions
    .filter((definition) => !isTypeSystemExtensionNode(definition) && !('name' in definition && STUBS.has(definition.name?.value ?? '')))
    .map(print)
    .join('\n\n');
}
