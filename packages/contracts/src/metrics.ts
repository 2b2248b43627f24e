import type { HostId, TenantId, VmId } from '@novacron/core';

/** One sample of a VM. Ratios are 0..1 of what the VM was given; sizes are bytes. */
export interface VmSample {
  vmId: VmId;
  tenantId: TenantId;
  hostId: HostId;
  at: string;
  cpu: number;
  memoryUsed: number | null;
  memoryTotal: number;
  diskReadBytesPerSecond: number;
  diskWriteBytesPerSecond: number;
  netReceiveBytesPerSecond: number;
  netTransmitBytesPerSecond: number;
}

/** One sample of a host. */
export interface HostSample {
  hostId: HostId;
  at: string;
  cpu: number;
  memoryUsed: number;
  memoryTotal: number;
  vmsRunning: number;
}

/**
 * Redis pub/sub channels on which agents publish samples as JSON arrays, once per host and round. A sample
 * missed is a sample late, never a state lost: the next one replaces it.
 */
export const VM_METRICS_CHANNEL = 'novacron.metrics.vm';
export const HOST_METRICS_CHANNEL = 'novacron.metrics.host';
