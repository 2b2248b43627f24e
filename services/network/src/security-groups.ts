import { requireInTenant, requirePermission, requireViewer, tenantFor, type RequestContext } from '@novacron/contracts';
import { checkName, DomainError, newId, parseId, type HostId, type OperationId, type SecurityGroupId, type TenantId } from '@novacron/core';
import { inTransaction, orTaken } from '@novacron/database';
import { operationOf, plan, submit, type PlannedStep } from '@novacron/operations';
import type { Database, Tx } from './database.ts';
import type { Prisma } from './generated/prisma/client.ts';
import { withRules, type GroupWithRules } from './loaders.ts';
import { HOLD_RULES, UPDATE_FILTERS } from './operations/filters.ts';
import { lockOut, type Accepted } from './requests.ts';
import { checkDescription, checkRules, LIMITS, type CheckedRule, type RuleInput } from './rules.ts';

export interface SecurityGroupInput {
  name?: string | null | undefined;
  description?: string | null | undefined;
  rules?: readonly RuleInput[] | null | undefined;
}

const placed = (rules: readonly CheckedRule[]) => rules.map((rule, place) => ({ ...rule, place }));

const nameTaken = (error: unknown, name: string | null | undefined): unknown => orTaken(error, 'name', `The tenant has a security group named "${name ?? ''}" already.`);

export async function createSecurityGroup(database: Database, context: RequestContext, input: SecurityGroupInput & { name: string; tenantId?: string | null | undefined }): Promise<GroupWithRules> {
  const viewer = requireViewer(context.viewer);
  const tenantId = tenantFor(viewer, input.tenantId, 'security group');
  requirePermission(viewer, 'security_group:create', tenantId);
  const data = {
    id: newId<SecurityGroupId>(),
    tenantId,
    name: checkName(input.name),
    description: input.description == null ? null : checkDescription(input.description),
    rules: { create: placed(checkRules(input.rules ?? [])) },
  };
  try {
    return await inTransaction(database, async (tx) => {
      await lockOut(tx, `groups.${tenantId}`);
      const { most } = LIMITS.groupsOfTenant;
      if ((await tx.securityGroup.count({ where: { tenantId } })) >= most) throw new DomainError('QUOTA_EXCEEDED', `A tenant has at most ${most} security groups.`);
      return tx.securityGroup.create({ data, include: withRules });
    });
  } catch (error) {
    throw nameTaken(error, input.name);
  }
}

async function lockGroup(tx: Tx, context: RequestContext, id: string, permission: 'security_group:update' | 'security_group:delete'): Promise<GroupWithRules> {
  requireViewer(context.viewer);
  const groupId = parseId<SecurityGroupId>(id, 'security group');
  await tx.$queryRaw`SELECT FROM security_group WHERE id = ${groupId}::uuid FOR UPDATE`;
  const group = await tx.securityGroup.findUnique({ where: { id: groupId }, include: withRules });
  if (!group) throw new DomainError('NOT_FOUND', 'There is no security group with this id.');
  requireInTenant(context.viewer, permission, group.tenantId, 'security group');
  return group;
}

/** The steps that bring filters to the rows on the hosts of these NICs. */
export async function planFilters(tx: Tx, where: Prisma.NicWhereInput, groupId?: SecurityGroupId): Promise<PlannedStep[]> {
  const nics = await tx.nic.findMany({ where: { AND: [where, { address: { not: null } }] }, select: { hostId: true, migrationHostId: true } });
  const hosts = new Set(nics.flatMap((nic) => [nic.hostId, nic.migrationHostId].filter((id) => id !== null)));
  return [
    plan(HOLD_RULES, groupId === undefined ? {} : { groupId }, { done: true }),
    ...[...hosts].toSorted().map((hostId) => plan(UPDATE_FILTERS, {}, { hostId: hostId as HostId })), // brands are added where rows come in
  ];
}

/** Changes what a group lets through, on every host that has NICs of it, also for guests that run. */
export async function updateSecurityGroup(database: Database, context: RequestContext, { id, ...input }: SecurityGroupInput & { id: string }): Promise<Accepted<GroupWithRules>> {
  requireViewer(context.viewer);
  const change = {
    ...(input.name == null ? {} : { name: checkName(input.name) }),
    ...(input.description == null ? {} : { description: checkDescription(input.description) }),
  };
  const rules = input.rules == null ? null : checkRules(input.rules);
  try {
    return await inTransaction(database, async (tx) => {
      const before = await lockGroup(tx, context, id, 'security_group:update');
      const groupId = before.id as SecurityGroupId; // brands are added where rows come in
      if (rules !== null) await tx.rule.deleteMany({ where: { groupId } });
      const row = await tx.securityGroup.update({
        where: { id: groupId },
        data: { ...change, ...(rules === null ? {} : { generation: before.generation + 1, rules: { create: placed(rules) } }) },
        include: withRules,
      });
      const operationId = newId<OperationId>();
      const operation = operationOf(context, { id: operationId, kind: 'security_group.update', targetType: 'SecurityGroup', targetId: groupId, tenantId: row.tenantId as TenantId });
      const bell = await submit(tx, operation, await planFilters(tx, rules === null ? { id: { in: [] } } : { groups: { some: { groupId } } }, groupId));
      return { row, operationId, bell };
    });
  } catch (error) {
    throw nameTaken(error, input.name);
  }
}

/** Removes a group that no NIC has. */
export function deleteSecurityGroup(database: Database, context: RequestContext, id: string): Promise<GroupWithRules> {
  return inTransaction(database, async (tx) => {
    const group = await lockGroup(tx, context, id, 'security_group:delete');
    const nics = await tx.nicGroup.count({ where: { groupId: group.id } });
    if (nics > 0) throw new DomainError('INVALID_STATE', `${nics === 1 ? 'A NIC has' : `${nics} NICs have`} security group "${group.name}": take it from them first.`);
    await tx.securityGroup.delete({ where: { id: group.id } });
    return group;
  });
}
