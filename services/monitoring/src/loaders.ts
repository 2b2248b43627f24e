import { tenantsWith, type HostSample, type RequestContext, type VmSample } from '@novacron/contracts';
import { isId } from '@novacron/core';
import DataLoader from 'dataloader';
import type { LatestSamples } from './latest-samples.ts';
import type { HistoryWindow } from './rules.ts';
import type { SampleStore } from './store.ts';

export interface HistoryKey {
  vmId: string;
  window: HistoryWindow;
}

/** What resolvers read by, made per request: a page of VMs costs one call, and nobody sees another's answers. */
export interface Loaders {
  latestVm: DataLoader<string, VmSample | null>;
  latestHost: DataLoader<string, HostSample | null>;
  history: DataLoader<HistoryKey, readonly VmSample[], string>;
}

const windowKey = ({ fromMs, toMs, stepMs }: HistoryWindow): string => `${fromMs} ${toMs} ${stepMs}`;

export function createLoaders({ viewer }: RequestContext, latest: LatestSamples, store: SampleStore): Loaders {
  return {
    latestVm: new DataLoader((ids) => latest.vms(ids)),
    latestHost: new DataLoader((ids) => latest.hosts(ids)),
    history: new DataLoader(
      async (keys) => {
        const tenants = tenantsWith(viewer, 'vm:read');
        const byWindow = Map.groupBy(keys, ({ window }) => windowKey(window));
        const histories = new Map<string, Map<string, VmSample[]>>();
        for (const [name, group] of byWindow) {
          const [first] = group;
          const vmIds = group.map(({ vmId }) => vmId).filter(isId); // what is no id names nothing
          if (first) histories.set(name, await store.history(vmIds, first.window, tenants));
        }
        return keys.map(({ vmId, window }) => histories.get(windowKey(window))?.get(vmId.toLowerCase()) ?? []);
      },
      { cacheKeyFn: ({ vmId, window }) => `${vmId} ${windowKey(window)}` },
    ),
  };
}
