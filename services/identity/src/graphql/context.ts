import { createBuilder } from '@novacron/graphql';
import type { RequestContext } from '@novacron/contracts';
import type { Accounts } from '../accounts.ts';
import type { Loaders } from '../loaders.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import type { SecondFactors } from '../second-factor/second-factors.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { SignIn } from '../sign-in.ts';
import type { Database } from '../store/database.ts';

/** What the resolvers work with: made for every request. */
export interface IdentityContext extends RequestContext {
  db: Database;
  accounts: Accounts;
  signIn: SignIn;
  sessions: Sessions;
  secondFactors: SecondFactors;
  mailbox: Mailbox;
  loaders: Loaders;
}

export const builder = createBuilder<IdentityContext>({ closedToTokens: true });
