import type { DiskDevice, NicDevice } from '@novacron/contracts';
import type { HostId, OperationId, TenantId, UserId, VmId } from '@novacron/core';
import { callDoor, passDoor, readDoor, type Sql } from '@novacron/operations';

/*
 * What vms asks of storage, network and identity in its own transactions: the doors of prisma/storage, prisma/network and prisma/identity.
 */

/** The disks of a new VM. */
export interface DiskWishes {
  tenantId: TenantId;
  /** The boot disk is a copy-on-write clone of it. */
  imageId: string | null;
  /** Bytes; null: as large as the image. */
  bootDiskSize: number | null;
  /** Volumes that are there already. */
  volumes: readonly string[];
  seed: SealedSeed | null;
}

/** What cloud-init is told, sealed for `seed:<VM id>`. */
export interface SealedSeed {
  /** base64 */
  sealed: string;
  keyId: string;
  /** Bytes that it takes up in the pool. */
  size: number;
}

export interface NicWishes {
  tenantId: TenantId;
  /** null: the tenant's default network, if there is one. */
  networks: readonly string[] | null;
}

/** Why a host can't take it, by the host's id; null when it can. A host that is not named has nothing to offer yet. */
export type HostReasons = ReadonlyMap<string, string | null>;

const reasons = async (sql: Sql, door: string, wishes: object): Promise<HostReasons> =>
  new Map((await readDoor<{ host_id: string; reason: string | null }>(sql, `${door}($1::jsonb)`, JSON.stringify(wishes))).map((row) => [row.host_id, row.reason]));

const wantsDisks = ({ imageId, volumes, seed }: DiskWishes): boolean => imageId !== null || volumes.length > 0 || seed !== null;

/** Which hosts could hold the disks; null when there are none to hold. NOT_FOUND, INVALID_STATE and BAD_USER_INPUT with the field. */
export const hostsForDisks = async (sql: Sql, wishes: DiskWishes): Promise<HostReasons | null> =>
  wantsDisks(wishes) ? reasons(sql, 'storage.hosts_for_disks', wishes) : null;

/** Which hosts have the networks; null when it needs none. NOT_FOUND with the field. */
export async function hostsForNics(sql: Sql, wishes: NicWishes): Promise<HostReasons | null> {
  if (wishes.networks?.length === 0) return null;
  const found = await reasons(sql, 'network.hosts_for_nics', wishes);
  return found.size === 0 && wishes.networks === null ? null : found; // a fleet without a default network
}

interface NewVm {
  vmId: VmId;
  operationId: OperationId;
  hostId: HostId;
  name: string;
  createdBy: string;
  /** Does it boot a kernel of its own? Then it does not boot from its disks. */
  kernelBoot: boolean;
}

/** Makes the rows of the disks, and claims their room. NO_CAPACITY when it was taken meanwhile. */
export const holdDisks = async (sql: Sql, vm: NewVm, wishes: DiskWishes): Promise<DiskDevice[]> =>
  wantsDisks(wishes) ? callDoor(sql, 'storage.hold_disks($1::jsonb)', JSON.stringify({ ...vm, ...wishes })) : [];

/** Charges the tenant with the disks that come and go with the VM. QUOTA_EXCEEDED (bootDiskSize). */
export const chargeDisks = (sql: Sql, vmId: VmId): Promise<void> => passDoor(sql, 'storage.charge_disks($1::uuid)', vmId);

/** Makes the rows of the interfaces, and reserves their addresses. NO_CAPACITY when a network is full. */
export const holdNics = async (sql: Sql, vm: NewVm, wishes: NicWishes): Promise<NicDevice[]> =>
  wishes.networks?.length === 0 ? [] : callDoor(sql, 'network.hold_nics($1::jsonb)', JSON.stringify({ ...vm, ...wishes }));

/** Which of the SSH keys that identity keeps for a user its guest is given; null: all of them. */
export type KeyWishes = readonly string[] | null;

/** Lines of authorized_keys. NOT_FOUND (cloudInit.sshKeyIds); BAD_USER_INPUT (cloudInit.withMySshKeys) for all of none. */
export const sshKeysOf = (sql: Sql, userId: UserId, ids: KeyWishes): Promise<string[]> => callDoor(sql, 'identity.ssh_keys_of($1::jsonb)', JSON.stringify({ userId, ids }));
