import { createBuilder } from '@novacron/graphql';
import type { RequestContext } from '@novacron/contracts';
import type { Accounts } from '../accounts.ts';
import type { PasswordChange } from '../accounts/password-change.ts';
import type { Recovery } from '../accounts/recovery.ts';
import type { Registration } from '../accounts/registration.ts';
import type { Verification } from '../accounts/verification.ts';
import type { Loaders } from '../loaders.ts';
import type { ApiTokens } from '../machines/api-tokens.ts';
import type { ServiceAccounts } from '../machines/service-accounts.ts';
import type { SshKeys } from '../machines/ssh-keys.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import type { PostOffice } from '../mail/post-office.ts';
import type { Invitations } from '../people/invitations.ts';
import type { People } from '../people/people.ts';
import type { Profile } from '../people/profile.ts';
import type { SecondFactors } from '../second-factor/second-factors.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { SecurityOverview } from '../security/overview.ts';
import type { SettingsAdministration } from '../settings/administration.ts';
import type { SignIn } from '../sign-in.ts';
import type { Database } from '../store/database.ts';

/** What the resolvers work with: made for every request. */
export interface IdentityContext extends RequestContext {
  db: Database;
  accounts: Accounts;
  signIn: SignIn;
  registration: Registration;
  verification: Verification;
  recovery: Recovery;
  passwordChange: PasswordChange;
  people: People;
  invitations: Invitations;
  profile: Profile;
  sessions: Sessions;
  secondFactors: SecondFactors;
  apiTokens: ApiTokens;
  serviceAccounts: ServiceAccounts;
  sshKeys: SshKeys;
  mailbox: Mailbox;
  postOffice: PostOffice;
  settings: SettingsAdministration;
  security: SecurityOverview;
  loaders: Loaders;
}

export const builder = createBuilder<IdentityContext>({ closedToTokens: true });
