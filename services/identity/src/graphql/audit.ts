import { CREDENTIALS, KINDS, OUTCOMES, type Credential, type Kind, type Outcome } from '@novacron/audit';
import { connectionType, pageArguments } from '@novacron/graphql';
import type { RoleAssignment } from '@novacron/contracts';
import { listEntries, type SeenEntry } from '../audit/entries.ts';
import { viewTenant, viewUser } from '../visibility.ts';
import { builder } from './context.ts';
import { Tenant } from './tenant.ts';
import { User } from './user.ts';

const described = <Name extends string>(descriptions: Record<Name, string>, names: readonly Name[]) =>
  // Pothos wants one literal type per value; the record is complete by its type
  Object.fromEntries(names.map((name) => [name, { description: descriptions[name] }])) as Record<Name, { description: string }>;

const AUDIT_KINDS: Record<Kind, string> = { MUTATION: 'Something was to be changed.', ACCESS: 'Something else was refused: a field, or a token.' };
const AUDIT_OUTCOMES: Record<Outcome, string> = {
  SUCCEEDED: 'Accepted; how its operation went, the operation says.',
  FAILED: 'Not done; see code.',
  DENIED: 'Refused for want of a permission, or of proof who asks.',
  UNKNOWN: 'What did it was gone before it could say. If it says so later, there is another entry with the same id.',
};
const AUDIT_CREDENTIALS: Record<Credential, string> = { SESSION: 'A sign-in.', API_TOKEN: 'An API token.' };

const AuditKind = builder.enumType('AuditKind', { description: 'What an entry of the audit log tells of.', values: described(AUDIT_KINDS, KINDS) });
const AuditOutcome = builder.enumType('AuditOutcome', { description: 'How it ended.', values: described(AUDIT_OUTCOMES, OUTCOMES) });
const AuditCredential = builder.enumType('AuditCredential', { description: 'What somebody proved with who it is.', values: described(AUDIT_CREDENTIALS, CREDENTIALS) });

const AuditRole = builder.objectRef<RoleAssignment>('AuditRole').implement({
  description: 'A role that somebody held at that time.',
  fields: (t) => ({
    role: t.exposeString('role', { description: 'Its name.' }),
    tenantId: t.id({ description: 'The tenant that it was held in, which may be gone.', resolve: ({ tenantId }) => tenantId }),
  }),
});

const AuditEntry = builder.objectRef<SeenEntry>('AuditEntry').implement({
  description: 'Who asked for what, as whom, from where, and what came of it. Entries are never changed; each has the hash of all before it.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    position: t.float({ description: 'Its place in the chain: dense, from 1.', resolve: ({ position }) => position }),
    hash: t.string({ description: 'SHA-256 of the hash before and of the entry as it is exported, in hexadecimal.', resolve: ({ hash }) => hash.toString('hex') }),
    at: t.field({ type: 'DateTime', description: 'When it began.', resolve: ({ at }) => at }),
    endedAt: t.field({ type: 'DateTime', nullable: true, description: 'When it ended; null where that is not known.', resolve: ({ endedAt }) => endedAt }),
    kind: t.field({ type: AuditKind, description: 'What it tells of.', resolve: ({ kind }) => kind }),
    action: t.exposeString('action', { description: 'The mutation, such as "createVm", or the field that was refused; "others": too many kinds of refusals at once.' }),
    service: t.exposeString('service', { description: 'Where it was written down; "gateway" for what came no further.' }),
    userId: t.id({ nullable: true, description: 'Who; null where nobody had signed in.', resolve: ({ userId }) => userId }),
    user: t.field({
      type: User,
      nullable: true,
      description: 'Who, as you may see it; null where the account is gone or not yours to see.',
      resolve: async ({ userId }, _args, { loaders, viewer }) => (userId === null ? null : viewUser(await loaders.users.load(userId), viewer)),
    }),
    credential: t.field({ type: AuditCredential, nullable: true, description: 'What it proved with who it is.', resolve: ({ credential }) => credential }),
    credentialId: t.id({ nullable: true, description: 'The id of that session or API token.', resolve: ({ credentialId }) => credentialId }),
    roles: t.field({ type: [AuditRole], description: 'What it was then, in the tenants whose audit you may read.', resolve: ({ roles }) => [...(roles ?? [])] }),
    address: t.string({ nullable: true, description: 'From which address.', resolve: ({ address }) => address }),
    userAgent: t.string({ nullable: true, description: 'With which client, by its User-Agent.', resolve: ({ userAgent }) => userAgent }),
    requestId: t.exposeString('requestId', { description: 'In which request: it is in every log line of it.' }),
    targetType: t.string({ nullable: true, description: 'What kind of object it was about, such as "Vm".', resolve: ({ targetType }) => targetType }),
    targetId: t.id({ nullable: true, description: 'Which one.', resolve: ({ targetId }) => targetId }),
    tenantId: t.id({ nullable: true, description: 'In which tenant; null where that is not known, which platform administrators see only.', resolve: ({ tenantId }) => tenantId }),
    tenant: t.field({
      type: Tenant,
      nullable: true,
      description: 'That tenant; null where it is gone.',
      resolve: async ({ tenantId }, _args, { loaders, viewer }) => (tenantId === null ? null : viewTenant(await loaders.tenants.load(tenantId), viewer)),
    }),
    arguments: t.field({ type: 'JSON', nullable: true, description: 'What it was asked with: the fields to be changed, without secrets.', resolve: (entry) => entry.arguments }),
    outcome: t.field({ type: AuditOutcome, description: 'How it ended.', resolve: ({ outcome }) => outcome }),
    code: t.string({ nullable: true, description: 'Why not, as in extensions.code.', resolve: ({ code }) => code }),
    count: t.float({ description: 'How many alike within a minute: of refusals only the first is an entry of its own.', resolve: ({ count }) => count }),
  }),
});

const AuditEntryConnection = connectionType(builder, 'AuditEntry', AuditEntry);

const AuditFilter = builder.inputType('AuditFilter', {
  description: 'Which entries: all that is given must match.',
  fields: (t) => ({
    userId: t.id({ description: 'By this user.' }),
    tenantId: t.id({ description: 'In this tenant.' }),
    kind: t.field({ type: AuditKind, description: 'Of this kind.' }),
    action: t.string({ description: 'Of this action, such as "createVm".' }),
    outcomes: t.field({ type: [AuditOutcome], description: 'That ended in one of these ways.' }),
    targetId: t.id({ description: 'About this object.' }),
    requestId: t.string({ description: 'Of this request.' }),
    address: t.string({ description: 'From this address.' }),
    from: t.field({ type: 'DateTime', description: 'Begun at this time or later.' }),
    to: t.field({ type: 'DateTime', description: 'Begun before this time.' }),
  }),
});

builder.queryFields((t) => ({
  auditLog: t.field({
    type: AuditEntryConnection,
    requiresScopes: [['audit:read']],
    description: 'Every mutation and every denied access of the tenants where you hold audit:read, the newest first; an entry is here about a second after it ended. Needs audit:read.',
    args: { ...pageArguments(t.arg), filter: t.arg({ type: AuditFilter, description: 'Which of them.' }) },
    resolve: (_root, args, { db, viewer }) => listEntries(db, viewer, args),
  }),
}));
