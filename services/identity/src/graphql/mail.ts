import { connectionType, pageArguments } from '@novacron/graphql';
import { viewUser } from '../visibility.ts';
import type { MailRecord, MailState as State } from '../mail/post-office.ts';
import { builder } from './context.ts';
import { User } from './user.ts';

const Mail = builder.objectRef<MailRecord>('Mail').implement({
  description: 'A mail that was given up, or is tried again. What stands in it is not shown: it may hold the token of a link.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    kind: t.exposeString('kind', { description: 'What it is about, such as "reset_password".' }),
    recipient: t.exposeString('recipient', { description: 'The address it goes to.' }),
    user: t.field({
      type: User,
      nullable: true,
      description: 'Whose account it is about; null where that is gone.',
      resolve: async ({ userId }, _args, { loaders, viewer }) => (userId === null ? null : viewUser(await loaders.users.load(userId), viewer)),
    }),
    state: t.exposeString('state', { description: 'QUEUED (it waits for its next try), SENT or DEAD (given up).' }),
    attempts: t.exposeInt('attempts', { description: 'How often the server was asked to take it.' }),
    error: t.exposeString('error', { nullable: true, description: 'Why it was not taken the last time.' }),
    createdAt: t.field({ type: 'DateTime', description: 'When there was a reason for it.', resolve: ({ createdAt }) => createdAt }),
    dueAt: t.field({ type: 'DateTime', nullable: true, description: 'When it is tried next; null when it is not.', resolve: ({ dueAt }) => dueAt }),
    sentAt: t.field({ type: 'DateTime', nullable: true, description: 'When the server took it.', resolve: ({ sentAt }) => sentAt }),
  }),
});

const MailState = builder.objectRef<State>('MailState').implement({
  description: 'How mails get on.',
  fields: (t) => ({
    configured: t.exposeBoolean('configured', { description: 'Is there a server to take them to (NOVACRON_SMTP_URL)? Without one they wait for a week.' }),
    queued: t.exposeInt('queued', { description: 'How many wait to be sent.' }),
    failing: t.exposeInt('failing', { description: 'How many of those the server has refused, or could not be asked for, at least once.' }),
    dead: t.exposeInt('dead', { description: 'How many were given up: see deadMails. They are kept for a month.' }),
    oldestQueuedAt: t.field({ type: 'DateTime', nullable: true, description: 'Since when the longest waits.', resolve: ({ oldestQueuedAt }) => oldestQueuedAt }),
    lastError: t.exposeString('lastError', { nullable: true, description: 'Why the newest of the failing ones was not taken.' }),
  }),
});

const MailConnection = connectionType(builder, 'Mail', Mail);

builder.queryFields((t) => ({
  mailState: t.field({
    type: MailState,
    requiresScopes: [['mail:read']],
    description: 'How mails get on: is there a server, do they wait, were some given up? Needs mail:read.',
    resolve: (_root, _args, { postOffice, viewer }) => postOffice.state(viewer),
  }),
  deadMails: t.field({
    type: MailConnection,
    requiresScopes: [['mail:read']],
    description: 'The mails that were given up: the server refused them for good, or for a day. The newest first. Needs mail:read.',
    args: pageArguments(t.arg),
    resolve: (_root, args, { postOffice, viewer }) => postOffice.dead(viewer, args),
  }),
}));

builder.mutationFields((t) => ({
  retryMail: t.field({
    type: Mail,
    requiresScopes: [['mail:retry']],
    description: 'Tries to send a mail again, from now on as if it were new. Needs mail:retry. NOT_FOUND; INVALID_STATE for one that was sent.',
    args: { id: t.arg.id({ required: true, description: "The mail's id." }) },
    resolve: (_root, { id }, context) => context.postOffice.retry(context, id),
  }),
}));
