import type { VmSample } from '@novacron/contracts';
import { newId, type HostId, type TenantId, type VmId } from '@novacron/core';

/** One sample of a VM of that tenant. */
export const vmSample = (tenantId: TenantId, more: Partial<VmSample> = {}): VmSample => ({
  vmId: newId<VmId>(),
  tenantId,
  hostId: newId<HostId>(),
  at: new Date().toISOString(),
  cpu: 0.5,
  memoryUsed: null,
  memoryTotal: 1,
  diskReadBytesPerSecond: 0,
  diskWriteBytesPerSecond: 0,
  netReceiveBytesPerSecond: 0,
  netTransmitBytesPerSecond: 0,
  ...more,
});
