import DataLoader from 'dataloader';
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

function byKey<Row extends { id: string }>(load: (ids: string[]) => Promise<Row[]>): DataLoader<string, Row | null> {
  return new DataLoader(async (ids: readonly string[]) => {
    const rows = new Map((await load([...ids])).map((row) => [row.id, row]));
    return ids.map((id) => rows.get(id) ?? null);
  });
}

function manyByKey<Row>(load: (ids: string[]) => Promise<Row[]>, keyOf: (row: Row) => string): DataLoader<string, Row[]> {
  return new DataLoader(async (ids: readonly string[]) => {
    const rows = Map.groupBy(await load([...ids]), keyOf);
    return ids.map((id) => rows.get(id) ?? []);
  });
}

export const withRules = { rules: { orderBy: { place: 'asc' } } } as const;
export const withGroups = { groups: { include: { group: { include: withRules } }, orderBy: { groupId: 'asc' } } } as const;

export const createLoaders = (database: Database): Loaders => ({
  network: byKey((ids) => database.network.findMany({ where: { id: { in: ids } } })),
  group: byKey((ids) => database.securityGroup.findMany({ where: { id: { in: ids } }, include: withRules })),
  nicsOfVm: manyByKey(
    (ids) => database.nic.findMany({ where: { vmId: { in: ids } }, include: withGroups, orderBy: { place: 'asc' } }),
    (nic) => nic.vmId,
  ),
  hostsOfNetwork: manyByKey(
    (ids) => database.networkHost.findMany({ where: { networkId: { in: ids } }, orderBy: { hostId: 'asc' } }),
    (row) => row.networkId,
  ),
});
