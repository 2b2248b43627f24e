import type { VmState } from '@novacron/contracts';
import { checkText, DomainError, isId, isName, type TenantId } from '@novacron/core';
import { containing, equalsId, parsePage, toConnection, type Connection, type PageArguments } from '@novacron/graphql';
import type { Database, VmRow } from './database.ts';
import type { Prisma } from './generated/prisma/client.ts';
import { LIMITS } from './rules.ts';

export interface VmFilter {
  states?: readonly VmState[] | null | undefined;
  hostId?: string | null | undefined;
  tenantId?: string | null | undefined;
  tags?: readonly string[] | null | undefined;
  search?: string | null | undefined;
}

interface OrderField {
  description: string;
  column: 'id' | 'name' | 'vcpus' | 'memory';
  /** The column's value from a cursor's text; null when it can't be one. */
  parse(text: string): string | number | bigint | null;
}

const whole = (text: string): number | null => (/^\d{1,9}$/.test(text) ? Number(text) : null);

/** Ids sort by age: they are UUIDv7. */
export const VM_ORDER_FIELDS = {
  CREATED_AT: { description: 'When it was asked for.', column: 'id', parse: (text) => (isId(text) ? text : null) },
  NAME: { description: 'Its name.', column: 'name', parse: (text) => (isName(text) ? text : null) },
  VCPUS: { description: 'How many virtual CPUs it has.', column: 'vcpus', parse: whole },
  MEMORY: { description: 'How much memory it has.', column: 'memory', parse: (text) => (/^\d{1,18}$/.test(text) ? BigInt(text) : null) },
} as const satisfies Record<string, OrderField>;

interface ListOptions {
  tenants: readonly TenantId[] | 'all';
  filter: VmFilter | null | undefined;
  orderBy: { field: keyof typeof VM_ORDER_FIELDS; descending?: boolean | null | undefined } | null | undefined;
  paging: PageArguments;
}

/** A page of living VMs of these tenants, by keyset: stable while others come and go. */
export async function listVms(database: Database, { tenants, filter, orderBy, paging }: ListOptions): Promise<Connection<VmRow>> {
  const { column, parse }: OrderField = VM_ORDER_FIELDS[orderBy?.field ?? 'CREATED_AT'];
  const page = parsePage(paging, 2);
  const descending = (orderBy?.descending ?? false) !== page.backwards;
  const where = { AND: [{ deletedAt: null }, whereTenants(tenants), whereFilter(filter)] };
  const rows = await database.vm.findMany({
    where: { AND: [where, page.cursor === null ? {} : whereAfter(page.cursor)] },
    orderBy: [{ [column]: direction() }, { id: direction() }],
    take: page.limit + 1,
  });
  return toConnection(rows, page, (vm) => [String(vm[column]), vm.id], () => database.vm.count({ where }));

  function direction(): 'asc' | 'desc' {
    return descending ? 'desc' : 'asc';
  }

  function whereAfter([text = '', id = '']: readonly string[]): Prisma.VmWhereInput {
    const value = parse(text);
    if (value === null || !isId(id)) {
      const field = page.backwards ? 'before' : 'after';
      throw new DomainError('BAD_USER_INPUT', `"${field}" is no cursor of this list.`, { field });
    }
    const beyond = <Value>(bound: Value) => (descending ? { lt: bound } : { gt: bound });
    return { OR: [{ [column]: beyond(value) }, { [column]: value, id: beyond(id) }] };
  }
}

const whereTenants = (tenants: readonly TenantId[] | 'all'): Prisma.VmWhereInput => (tenants === 'all' ? {} : { tenantId: { in: [...tenants] } });

function whereFilter(filter: VmFilter | null | undefined): Prisma.VmWhereInput {
  return {
    ...(filter?.states ? { state: { in: [...filter.states] } } : {}),
    ...(filter?.hostId == null ? {} : { hostId: equalsId(filter.hostId) }),
    ...(filter?.tenantId == null ? {} : { tenantId: equalsId(filter.tenantId) }),
    ...(filter?.tags?.length ? { tags: { hasEvery: filter.tags.map((tag) => checkText(tag, 'filter.tags', LIMITS.filter.most)) } } : {}),
    ...(filter?.search ? { name: containing(filter.search) } : {}),
  };
}
