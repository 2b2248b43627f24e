import type { RedisOptions } from 'ioredis';
import { pino, type Logger } from 'pino';
import type { Authenticator, RequestContext, Subgraph } from '@novacron/contracts';
import { createRinger } from '@novacron/operations';
import { connectRedis } from '@novacron/redis';
import type { Secrets } from '@novacron/secrets';
import { createAccessTokens } from './access-tokens.ts';
import { createAccounts } from './accounts.ts';
import { createCredentials } from './accounts/credentials.ts';
import { createHousekeeping } from './accounts/housekeeping.ts';
import { createOwnPassword } from './accounts/own-password.ts';
import { createPasswordChange } from './accounts/password-change.ts';
import { createRecovery } from './accounts/recovery.ts';
import { createRegistration } from './accounts/registration.ts';
import { createVerification } from './accounts/verification.ts';
import { createAdmission } from './admission.ts';
import { bootstrap, type FirstAdministrator } from './bootstrap.ts';
import type { IdentityContext } from './graphql/context.ts';
import { schema } from './graphql/schema.ts';
import { createKeyring } from './keyring.ts';
import { createLoaders } from './loaders.ts';
import { createQuotaWatch } from './quota-watch.ts';
import { createPasswords } from './passwords.ts';
import { createApiTokens } from './machines/api-tokens.ts';
import { createServiceAccounts } from './machines/service-accounts.ts';
import { createSshKeys } from './machines/ssh-keys.ts';
import { ringForMail, startCourier, type Courier, type MailOptions } from './mail/courier.ts';
import { createMailbox } from './mail/mailbox.ts';
import { createPostOffice } from './mail/post-office.ts';
import { createInvitations } from './people/invitations.ts';
import { createPeople } from './people/people.ts';
import { createProfile } from './people/profile.ts';
import { createSecondFactors } from './second-factor/second-factors.ts';
import { createEndedSessions } from './sessions/ended-sessions.ts';
import { startSessionKeeper } from './sessions/keeper.ts';
import { createLastUse } from './sessions/last-use.ts';
import { startRounds, type Rounds } from './sessions/rounds.ts';
import { createSessions } from './sessions/sessions.ts';
import { createSecurityOverview } from './security/overview.ts';
import { createSettingsAdministration } from './settings/administration.ts';
import { authenticatorOf, createSignIn } from './sign-in.ts';
import { openDatabase } from './store/database.ts';
import type { TokenAlgorithm } from './store/signing-keys.ts';

export interface IdentityOptions {
  /** The owner's URL, or the one of identity's own role. */
  databaseUrl: string;
  /** What is sealed is opened by every process and after every start: signing keys, second factors, what mails say. */
  secrets: Secrets;
  /** For queues, revocations and what is counted. */
  redis: RedisOptions;
  /** Without it mails wait. */
  mail?: MailOptions;
  /** Silent unless given. */
  logger?: Logger;
  /** What new signing keys are for: EdDSA. */
  tokenAlgorithm?: TokenAlgorithm;
  /** How long an access token is good for: 10 minutes. */
  accessTokenLifetimeMs?: number;
  /** How long a session may be refreshed after its sign-in: 30 days. */
  sessionLifetimeMs?: number;
  /** The first administrator; without a password one is generated. */
  bootstrap: { email: string; password?: string | undefined };
  clock?: () => Date;
}

export interface IdentityService {
  readonly subgraph: Subgraph;
  readonly authenticator: Authenticator;
  /**
   * Makes the tenant `default` and the first administrator in a database without users, and else does nothing: also
   * when several processes start at once. BAD_USER_INPUT for an address or password that can't be one.
   *
   * @returns whom it made, for the caller to show once; null when there were users already
   */
  bootstrap(): Promise<FirstAdministrator | null>;
  /** A new key is shown from now on and signs in two minutes; sessions and the tokens of the key before live on. */
  rotateSigningKey(): Promise<void>;
  /** The same, when the newest key is older than this or of another algorithm. */
  rotateSigningKeyOlderThan(ageMs: number): Promise<void>;
  /** Begins the work that nobody asks for: mails go out, Redis knows which sessions have ended, and administrators hear of quotas that are nearly used up. Idempotent. */
  start(): void;
  /** `force`: as if the process had died. */
  close(options?: { force?: boolean }): Promise<void>;
}

const MINUTE_MS = 60_000;
const QUOTAS_EVERY_MS = MINUTE_MS;
const HOUSEKEEPING_EVERY_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;

/**
 * Identity: who there is, what they may do, and how they prove it. Needs a migrated database; connects at the first
 * question.
 */
export function createIdentityService(options: IdentityOptions): IdentityService {
  const { secrets, accessTokenLifetimeMs = 10 * MINUTE_MS, sessionLifetimeMs = 30 * DAY_MS, clock: now = () => new Date() } = options;
  const logger = options.logger ?? pino({ level: 'silent' });
  const db = openDatabase(options.databaseUrl);
  const redis = connectRedis(options.redis);
  const passwords = createPasswords({ now: () => now().getTime() });
  const keyring = createKeyring({ db, secrets, now, logger, tokenLifetimeMs: accessTokenLifetimeMs, algorithm: options.tokenAlgorithm });
  const accessTokens = createAccessTokens({ keyring, now, lifetimeMs: accessTokenLifetimeMs });
  const ringer = createRinger(options.redis, logger);
  const mail: MailOptions = options.mail ?? { smtpUrl: null, from: '', publicUrl: '' };
  const ring = (mailId: string) => ringForMail(ringer, mailId);
  const mailbox = createMailbox({ secrets, ring });
  const postOffice = createPostOffice({ db, configured: mail.smtpUrl !== null, ring, now, logger });
  const settings = createSettingsAdministration({ db, now, logger });
  const security = createSecurityOverview({ db, now });
  let courier: Courier | null = null;
  const ownPassword = createOwnPassword({ db, passwords, now });
  const secondFactors = createSecondFactors({ db, secrets, ownPassword, mailbox, now, logger });
  const admission = createAdmission({ db, accessTokens, secondFactors, mailbox, sessionLifetimeMs, now, logger });
  const signIn = createSignIn({ db, credentials: createCredentials({ db, passwords, now, logger }), accessTokens, admission, now, logger });
  const registration = createRegistration({ db, passwords, mailbox, admission, now, logger });
  const verification = createVerification({ db, mailbox, now, logger });
  const recovery = createRecovery({ db, passwords, mailbox, admission, now, logger });
  const passwordChange = createPasswordChange({ db, ownPassword, mailbox, now, logger });
  const accounts = createAccounts({ db, passwords, now, logger });
  const people = createPeople({ db, mailbox, sendsMail: mail.smtpUrl !== null, now, logger });
  const invitations = createInvitations({ db, passwords, admission, mailbox, now, logger });
  const profile = createProfile({ db, ownPassword, mailbox, now, logger });
  const sessions = createSessions({ db, now, logger });
  const apiTokens = createApiTokens({ db, ownPassword, mailbox, now, logger });
  const serviceAccounts = createServiceAccounts({ db, now, logger });
  const sshKeys = createSshKeys({ db, now, logger });
  const lastUse = createLastUse({ db, redis, now, logger });
  let keeper: Rounds | null = null;
  let quotaRounds: Rounds | null = null;
  let housekeeping: Rounds | null = null;
  const sessionsSince = () => new Date(now().getTime() - sessionLifetimeMs);

  const createContext = (request: RequestContext): IdentityContext => ({
    ...request,
    db,
    accounts,
    signIn,
    registration,
    verification,
    recovery,
    passwordChange,
    people,
    invitations,
    profile,
    sessions,
    secondFactors,
    apiTokens,
    serviceAccounts,
    sshKeys,
    mailbox,
    postOffice,
    settings,
    security,
    loaders: createLoaders(db, sessionsSince, lastUse),
  });

  return {
    subgraph: { name: 'identity', schema, createContext },
    authenticator: authenticatorOf(signIn, apiTokens, keyring),
    bootstrap: () => bootstrap({ db, passwords, now, logger }, options.bootstrap),
    rotateSigningKey: () => keyring.rotate(),
    rotateSigningKeyOlderThan: (ageMs) => keyring.rotateOlderThan(ageMs),
    start() {
      keeper ??= startSessionKeeper({ redis, lastUse, ended: createEndedSessions({ db, redis, now, logger, tokenLifetimeMs: accessTokenLifetimeMs }) });
      quotaRounds ??= startRounds(createQuotaWatch({ db, mailbox, now, logger }), QUOTAS_EVERY_MS);
      housekeeping ??= startRounds(createHousekeeping({ db, now, logger }), HOUSEKEEPING_EVERY_MS);
      courier ??= startCourier({ db, secrets, redis: options.redis, ringer, mail, now, logger });
    },
    async close(how) {
      await courier?.close(how);
      await keeper?.close();
      await quotaRounds?.close();
      await housekeeping?.close();
      redis.disconnect();
      await ringer.close();
      await db.$disconnect();
    },
  };
}

export { schema as identitySchema };
export type { FirstAdministrator, MailOptions };
