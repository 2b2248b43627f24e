import type { HostId, MigrationId, OperationId, VmId } from '@novacron/core';
import type { Device } from './devices.ts';
import type { VmState } from './states.ts';
import { declareStep } from './step.ts';

/*
 * What vms offers to the operations of other services. They take a VM in the transaction of their own mutation with
 * vms.hold_for (prisma/vms), which answers HeldVm, and plan HOLD as done: its undo lets go of the VM again.
 */

export interface VmInput {
  vmId: VmId;
}

/** Why a VM is held: the verb of vms, or of another service, that is in flight. */
export interface HoldInput extends VmInput {
  operationId: OperationId;
  /** A verb of services/vms/src/rules.ts. */
  verb: string;
  /** What was asked for before, to go back to when someone cancels. */
  desiredBefore: VmState;
}

/** What vms.hold_for answers: `hold` is HOLD's input. */
export interface HeldVm {
  hold: HoldInput;
  tenantId: string;
  name: string;
  /** Where its steps go. */
  hostId: HostId;
  /** At rest, before it was held. */
  state: VmState;
}

/** The first step of every operation on a VM, done by the mutation's own transaction. Its undo needs no host. */
export const HOLD = declareStep<HoldInput>()({ name: 'vms.hold', undoable: true });

export interface DeviceInput extends VmInput {
  device: Device;
}

/** Gives a VM a device: live when it runs, and in its definition. It is the last step on the VM: recording it lets go. */
export const ATTACH_DEVICE = declareStep<DeviceInput>()({ name: 'vms.attach-device', undoable: true });
/** Takes a device away, and waits until the guest has let go of it. Recording it lets go of the VM. */
export const DETACH_DEVICE = declareStep<VmInput & { deviceId: string }>()({ name: 'vms.detach-device', undoable: false, settles: true });
/** Tells a running guest that a disk has grown; `size` in bytes. Recording it lets go of the VM. */
export const RESIZE_DISK = declareStep<VmInput & { deviceId: string; size: number }>()({ name: 'vms.resize-disk', undoable: false });

/** On the source of a migration, after the guest runs elsewhere: no domain stays, not even its definition. */
export const CLEAN_SOURCE = declareStep<VmInput>()({ name: 'vms.clean-source', undoable: false, settles: true });
/**
 * On the target, the last step of a migration: asks libvirt how the VM is, and makes this host its own in the transaction
 * that ends the migration (migration.succeed) and the operation. The source's claim is given back.
 */
export interface MovedInput extends VmInput {
  hostId: HostId;
  migrationId: MigrationId;
}
export const MOVED = declareStep<MovedInput>()({ name: 'vms.moved', undoable: false });
