import { rowLoader, rowsLoader } from '@novacron/graphql';
import type DataLoader from 'dataloader';
import type { Database, NetworkHostRow, NetworkRow, NicRow, RuleRow, SecurityGroupRow } from './database.ts';

export type GroupWithRules = SecurityGroupRow & { rules: RuleRow[] };
export type NicWithGroups = NicRow & { groups: { groupId: string; group: GroupWithRules }[] };

/** Batches of one request: a page of any length costs one statement for each kind of row. */
export interface Loaders {
  network: DataLoader<string, NetworkRow | null>;
  group: DataLoader<string, GroupWithRules | null>;
  nicsOfVm: DataLoader<string, NicWithGroups[]>;
  hostsOfNetwork: DataLoader<string, NetworkHostRow[]>;
}

export const withRules = { rules: { orderBy: { place: 'asc' } } } as const;
export const withGroups = { groups: { include: { group: { include: withRules } }, orderBy: { groupId: 'asc' } } } as const;

export const createLoaders = (database: Database): Loaders => ({
  network: rowLoader((ids) => database.network.findMany({ where: { id: { in: ids } } })),
  group: rowLoader((ids) => database.securityGroup.findMany({ where: { id: { in: ids } }, include: withRules })),
  nicsOfVm: rowsLoader(
    (ids) => database.nic.findMany({ where: { vmId: { in: ids } }, include: withGroups, orderBy: { place: 'asc' } }),
    (nic) => nic.vmId,
  ),
  hostsOfNetwork: rowsLoader(
    (ids) => database.networkHost.findMany({ where: { networkId: { in: ids } }, orderBy: { hostId: 'asc' } }),
    (row) => row.networkId,
  ),
});
