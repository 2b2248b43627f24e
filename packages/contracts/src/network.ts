import type { HostId, MigrationId, VmId } from '@novacron/core';
import { declareStep } from './step.ts';

/*
 * What network offers to the operations of other services. In the mutation's own transaction: network.hosts_for_nics says
 * which hosts have the networks, network.hold_nics reserves addresses and makes the rows, network.hosts_for_vm says where a
 * VM's networks are. Their steps are planned as done.
 */

interface NicsInput {
  vmId: VmId;
}

/** Done by network.hold_nics. Undo: addresses are free and rows are gone. */
export const HOLD_NICS = declareStep<NicsInput>()({ name: 'network.hold-nics', undoable: true });
/** On the VM's host: its networks are up, its addresses handed out, its filters defined. Undo: nothing of it is left. */
export const MAKE_NICS = declareStep<NicsInput>()({ name: 'network.make-nics', undoable: true });
/** On the VM's host, after its domain is gone: leases, filters and addresses are free. */
export const DROP_NICS = declareStep<NicsInput>()({ name: 'network.drop-nics', undoable: false });

interface MigrationInput extends NicsInput {
  migrationId: MigrationId;
  hostId: HostId;
}

/** On the target, before memory moves: its networks, addresses and filters are there. Undo: they are gone again. */
export const MIGRATE_IN = declareStep<MigrationInput>()({ name: 'network.migrate-in', undoable: true });
/** On the source, after the guest runs on the target: what was there for it is gone. */
export const MIGRATE_OUT = declareStep<MigrationInput>()({ name: 'network.migrate-out', undoable: false });
