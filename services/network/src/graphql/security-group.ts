import { can, requireScope, requireViewer, tenantsWith } from '@novacron/contracts';
import { isId } from '@novacron/core';
import { byId, connectionType, forwardArguments, parsePage, toConnection } from '@novacron/graphql';
import type { RuleRow } from '../database.ts';
import { withRules, type GroupWithRules } from '../loaders.ts';
import { builder } from './context.ts';
import { Tenant } from './stubs.ts';

export const RuleDirection = builder.enumType('RuleDirection', {
  description: 'Which way a connection is begun.',
  values: { INGRESS: { description: 'To the guest.' }, EGRESS: { description: 'By the guest.' } } as const,
});

export const RuleProtocol = builder.enumType('RuleProtocol', {
  description: 'What a rule is about.',
  values: {
    TCP: { description: 'TCP.' },
    UDP: { description: 'UDP.' },
    ICMP: { description: 'ICMP: ping, and what tells of errors.' },
    ANY: { description: 'All of IPv4.' },
  } as const,
});

const SecurityRule = builder.objectRef<RuleRow>('SecurityRule').implement({
  description: 'What a security group lets through; answers to it come back.',
  fields: (t) => ({
    direction: t.field({ type: RuleDirection, description: 'Which way it is begun.', resolve: (rule) => rule.direction }),
    protocol: t.field({ type: RuleProtocol, description: 'What it is about.', resolve: (rule) => rule.protocol }),
    portFrom: t.exposeInt('portFrom', { nullable: true, description: 'The first port it is begun to; null: any.' }),
    portTo: t.exposeInt('portTo', { nullable: true, description: 'The last such port.' }),
    cidr: t.exposeString('cidr', { nullable: true, description: 'The other side; null: anyone.' }),
  }),
});

export const SecurityGroup = builder.objectRef<GroupWithRules>('SecurityGroup').implement({
  description: 'What NICs let through. A NIC with groups lets through what one of them does, and DHCP and ARP; one without lets through everything but what is spoofed.',
  tokenScopes: ['security_group:read'],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: 'Its name, unique in its tenant.' }),
    description: t.exposeString('description', { nullable: true, description: 'What it is for.' }),
    generation: t.exposeInt('generation', { description: 'Grows with every change of its rules.' }),
    rules: t.field({ type: [SecurityRule], description: 'What it lets through.', resolve: (group) => group.rules }),
    tenant: t.field({ type: Tenant, description: 'Whose it is.', resolve: (group) => ({ id: group.tenantId }) }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was made.', resolve: (group) => group.createdAt }),
  }),
});
builder.asEntity(SecurityGroup, {
  key: builder.selection<{ id: string }>('id'),
  async resolveReference({ id }, { viewer, loaders }) {
    requireScope(viewer, ['security_group:read']);
    const group = isId(id) ? await loaders.group.load(id) : null;
    return group && can(viewer, 'security_group:read', group.tenantId) ? group : null;
  },
});

const SecurityGroupConnection = connectionType(builder, 'SecurityGroup', SecurityGroup);

builder.queryField('securityGroups', (t) =>
  t.field({
    type: SecurityGroupConnection,
    description: 'The security groups that you may see, oldest first.',
    args: forwardArguments(t.arg),
    async resolve(_root, paging, { viewer, database }) {
      const tenants = tenantsWith(requireViewer(viewer), 'security_group:read');
      const page = parsePage(paging);
      const where = tenants === 'all' ? {} : { tenantId: { in: tenants } };
      const { where: after, ...order } = byId(page);
      const rows = await database.securityGroup.findMany({ where: { AND: [where, after] }, ...order, include: withRules });
      return toConnection(rows, page, (group) => [group.id], () => database.securityGroup.count({ where }));
    },
  }),
);
