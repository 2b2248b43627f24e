import { builder } from './context.ts';

builder.mutationFields((t) => ({
  revokeSession: t.boolean({
    description:
      'Ends a session: its tokens are refused everywhere and its sockets closed within a second. True, also when it had ended before. Your own; of others with ' +
      'session:revoke in every tenant of theirs, else FORBIDDEN. NOT_FOUND for one that you can know nothing of.',
    args: { id: t.arg.id({ required: true, description: "The session's id." }) },
    resolve: async (_root, { id }, context) => {
      await context.sessions.revoke(context, id);
      return true;
    },
  }),
  revokeOtherSessions: t.int({
    description: 'Ends all your sessions but the one that asks, and answers how many they were. FORBIDDEN to API tokens.',
    resolve: (_root, _args, context) => context.sessions.revokeOthers(context),
  }),
}));
