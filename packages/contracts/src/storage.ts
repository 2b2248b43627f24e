import type { HostId, MigrationId, VmId } from '@novacron/core';
import { declareStep } from './step.ts';

/*
 * What storage offers to the operations of other services. In the mutation's own transaction:
 * storage.hosts_for_disks says which hosts could take the disks, storage.hold_disks claims room and makes the rows, and
 * storage.hold_migration claims what a migration needs on its target. Their steps are planned as done.
 */

interface DisksInput {
  vmId: VmId;
}

/** Done by storage.hold_disks. Undo: rows and claims are gone, volumes that were there before are free again. */
export const HOLD_DISKS = declareStep<DisksInput>()({ name: 'storage.hold-disks', undoable: true });
/** On the VM's host: the image is cached, the boot disk cloned, the seed written, secrets defined. Undo: nothing of it is left. */
export const MAKE_DISKS = declareStep<DisksInput>()({ name: 'storage.make-disks', undoable: true });
/** On the VM's host, before it starts: the secrets of its encrypted volumes are there. Repeats harmlessly. */
export const UNLOCK_DISKS = declareStep<DisksInput>()({ name: 'storage.unlock-disks', undoable: false });
/** On the VM's host, after its domain is gone: seed and boot disk are deleted, other volumes are free, secrets are gone. */
export const DROP_DISKS = declareStep<DisksInput & { keepVolumes: boolean }>()({ name: 'storage.drop-disks', undoable: false });

/** What storage.hold_migration answers. */
export interface HeldMigration {
  /** The disks that are to be copied, by what the guest finds them as ("vda"); the others are on storage that both hosts share. */
  copied: string[];
  /** Something is to be taken away on the source afterwards: copies, or secrets. */
  leaves: boolean;
}

interface MigrationInput extends DisksInput {
  migrationId: MigrationId;
}

/** Done by storage.hold_migration. Undo: the claims on the target are given back. */
export const HOLD_MIGRATION = declareStep<MigrationInput>()({ name: 'storage.hold-migration', undoable: true });
interface MigrateInInput extends MigrationInput {
  /** Where storage copies the disks from that the hosts do not share, as the VM is off; null: libvirt copies them while its guest runs. */
  copyFrom: { hostId: HostId; bytesPerSecond: number | null } | null;
}

interface MigrateOutInput extends MigrationInput {
  /** Storage has copied the disks byte by byte: a clone stands on its image's copy over there. */
  asTheyWere: boolean;
}

/** On the target, before the guest moves: every disk is there (empty, where libvirt will copy it), with its secret. */
export const MIGRATE_IN = declareStep<MigrateInInput>()({ name: 'storage.migrate-in', undoable: true });
/** On the source, after the guest runs on the target: copies that were left and secrets are gone; the volumes are the target's. */
export const MIGRATE_OUT = declareStep<MigrateOutInput>()({ name: 'storage.migrate-out', undoable: false });
