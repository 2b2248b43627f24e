import type { NicId, VolumeId } from '@novacron/core';

/** A disk as a VM's domain has it. Pool and volume have the same names on every host that has them: a migration changes nothing. */
export interface DiskDevice {
  readonly kind: 'disk';
  /** The volume; of a seed, an id of its own. */
  readonly id: VolumeId;
  /** What the guest finds it as: "vda". Unique in the VM. */
  readonly target: string;
  /** libvirt's name of the pool. */
  readonly pool: string;
  /** libvirt's name of the volume. */
  readonly volume: string;
  readonly format: 'qcow2' | 'raw';
  /** Its place in the boot order, from 1; null: not booted from. */
  readonly bootOrder: number | null;
  readonly readOnly: boolean;
  /** The libvirt secret that opens it; null when it is not encrypted. */
  readonly secretId: string | null;
}

/** A network interface as a VM's domain has it. */
export interface NicDevice {
  readonly kind: 'nic';
  readonly id: NicId;
  /** "52:54:00:..." */
  readonly mac: string;
  /** libvirt's name of the network; null: QEMU's own user-mode network, where a host can have no other. */
  readonly network: string | null;
  /** libvirt's name of the nwfilter that guards it; null: none. */
  readonly filter: string | null;
  /** The address that the filter lets through; null: none was reserved. */
  readonly address: string | null;
  readonly mtu: number | null;
}

export type Device = DiskDevice | NicDevice;
