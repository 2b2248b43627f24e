import { ROLES } from '@novacron/contracts';
import type { Enrollment } from '../second-factor/totp.ts';
import { rolesOf } from '../visibility.ts';
import { builder } from './context.ts';
import { Tenant } from './tenant.ts';
import { User } from './user.ts';

const TotpEnrollment = builder.objectRef<Enrollment>('TotpEnrollment').implement({
  description: 'An authenticator to be set up: give it one of these, then its code to confirmTotp within 15 minutes. Not shown again.',
  fields: (t) => ({
    secret: t.exposeString('secret', { description: 'The secret in base32, for who types it.' }),
    otpauthUri: t.exposeString('otpauthUri', { description: 'The same as a link that authenticators open.' }),
    qrCodeSvg: t.exposeString('qrCodeSvg', { description: 'That link as a QR code: an SVG image.' }),
  }),
});

const BackupCodes = builder.objectRef<string[]>('BackupCodes').implement({
  description: 'Codes that sign in when the authenticator is lost. Not shown again.',
  fields: (t) => ({
    codes: t.stringList({ description: 'Each of them is good once.', resolve: (codes) => codes }),
  }),
});

builder.objectFields(User, (t) => ({
  totpEnabled: t.boolean({
    description: 'Does it need a second factor to sign in? Guarded as the roles are.',
    resolve: async (view, _args, { loaders }) => {
      rolesOf(view);
      return (await loaders.secondFactors.load(view.user.id)).enabled;
    },
  }),
  backupCodesLeft: t.int({
    description: 'How many of its backup codes are not used yet. Guarded as the roles are.',
    resolve: async (view, _args, { loaders }) => {
      rolesOf(view);
      return (await loaders.secondFactors.load(view.user.id)).codesLeft;
    },
  }),
}));

builder.objectField(Tenant, 'secondFactorRoles', (t) =>
  t.stringList({
    description: 'Whoever holds one of these roles in it may do nothing before it has set up a second factor.',
    resolve: (tenant, _args, { loaders }) => loaders.secondFactorRoles.load(tenant.id),
  }),
);

const codeArgument = 'A code that the authenticator shows now, or a backup code. It is spent.';
const WRONG_CODES = 'BAD_USER_INPUT for a wrong or used code, RATE_LIMITED after too many.';

builder.mutationFields((t) => ({
  beginTotp: t.field({
    type: TotpEnrollment,
    description:
      'Makes a secret for your authenticator, in place of one that was not confirmed; nothing changes before confirmTotp. INVALID_STATE while ' +
      'you have a second factor. BAD_USER_INPUT (password: missing or wrong where you signed in more than 10 minutes ago), RATE_LIMITED after too many wrong ones. FORBIDDEN to ' +
      'API tokens, and to who owes a new password.',
    args: { password: t.arg.string({ description: 'Yours: needed where you signed in more than 10 minutes ago.' }) },
    resolve: (_root, { password }, context) => context.secondFactors.begin(context, password),
  }),
  confirmTotp: t.field({
    type: BackupCodes,
    description:
      'From now on you sign in with a code, too. Ends your other sessions. BAD_USER_INPUT for a wrong code, INVALID_STATE when nothing was begun ' +
      'in the last 15 minutes, FORBIDDEN to API tokens, and to who owes a new password.',
    args: { code: t.arg.string({ required: true, description: 'What your authenticator shows now.' }) },
    resolve: (_root, { code }, context) => context.secondFactors.confirm(context, code),
  }),
  disableTotp: t.boolean({
    description: `From now on you sign in with your password alone. True. ${WRONG_CODES} INVALID_STATE without a second factor, or when a role of yours demands it. FORBIDDEN to API tokens.`,
    args: { code: t.arg.string({ required: true, description: codeArgument }) },
    resolve: async (_root, { code }, context) => {
      await context.secondFactors.disable(context, code);
      return true;
    },
  }),
  renewBackupCodes: t.field({
    type: BackupCodes,
    description: `Makes new backup codes; those before are no good any more. ${WRONG_CODES} INVALID_STATE without a second factor, FORBIDDEN to API tokens.`,
    args: { code: t.arg.string({ required: true, description: codeArgument }) },
    resolve: (_root, { code }, context) => context.secondFactors.renewBackupCodes(context, code),
  }),
  resetSecondFactor: t.field({
    type: User,
    requiresScopes: [['second_factor:reset']],
    description:
      'Takes the second factor from a user who has lost it, and ends its sessions. Needs second_factor:reset in all its tenants; of platform ' +
      'administrators only their like do it, and nobody for itself (FORBIDDEN). Idempotent.',
    args: { userId: t.arg.id({ required: true, description: 'Who has lost it.' }) },
    resolve: (_root, { userId }, context) => context.secondFactors.reset(context, userId),
  }),
  requireSecondFactor: t.field({
    type: Tenant,
    requiresScopes: [['second_factor:require']],
    description:
      'Says who needs a second factor in a tenant: who has not shown one has no role anywhere until it has. Needs second_factor:require in the ' +
      'tenant; of platform_admin only a platform administrator says so (FORBIDDEN). Idempotent. The setting secondFactor.roles says the same for all tenants.',
    args: {
      tenantId: t.arg.id({ required: true, description: 'Where.' }),
      roles: t.arg.stringList({ required: true, description: `Which roles need it, of ${ROLES.join(', ')}; none: nobody does.` }),
    },
    resolve: (_root, args, context) => context.secondFactors.demand(context, args),
  }),
}));
