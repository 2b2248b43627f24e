import type { RedisOptions } from 'ioredis';
import { pino, type Logger } from 'pino';
import type { Authenticator, RequestContext, Subgraph } from '@novacron/contracts';
import { secretsOf } from '@novacron/secrets';
import { createAccessTokens } from './access-tokens.ts';
import { createAccounts } from './accounts.ts';
import { bootstrap, type FirstAdministrator } from './bootstrap.ts';
import type { IdentityContext } from './graphql/context.ts';
import { schema } from './graphql/schema.ts';
import { createKeyring } from './keyring.ts';
import { createLoaders } from './loaders.ts';
import { createPasswords } from './passwords.ts';
import { createMailbox } from './mail/mailbox.ts';
import { createSecondFactors } from './second-factor/second-factors.ts';
import { authenticatorOf, createSignIn } from './sign-in.ts';
import { openDatabase } from './store/database.ts';

export interface MailOptions {
  /** smtp:// or smtps://; null: mails wait. */
  smtpUrl: string | null;
  from: string;
  /** What links begin with. */
  publicUrl: string;
}

export interface IdentityOptions {
  /** The owner's URL, or the one of identity's own role. */
  databaseUrl: string;
  /** 32 bytes, the same in every process and at every start: the private signing keys are sealed with it. */
  masterKey: Buffer;
  /** For queues, revocations and what is counted. */
  redis: RedisOptions;
  mail?: MailOptions;
  /** Silent unless given. */
  logger?: Logger;
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
  /** A new key signs from now on; sessions and the tokens of the key before live on. */
  rotateSigningKey(): Promise<void>;
  /** The same, when the key that signs now is older than this. */
  rotateSigningKeyOlderThan(ageMs: number): Promise<void>;
  close(): Promise<void>;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/**
 * Identity: who there is, what they may do, and how they prove it. Needs a migrated database; connects at the first
 * question. Throws at once for a master key of the wrong length.
 */
export function createIdentityService(options: IdentityOptions): IdentityService {
  const { accessTokenLifetimeMs = 10 * MINUTE_MS, sessionLifetimeMs = 30 * DAY_MS, clock: now = () => new Date() } = options;
  const logger = options.logger ?? pino({ level: 'silent' });
  const db = openDatabase(options.databaseUrl);
  const passwords = createPasswords();
  const keyring = createKeyring({ db, masterKey: options.masterKey, now, logger, tokenLifetimeMs: accessTokenLifetimeMs });
  const accessTokens = createAccessTokens({ keyring, now, lifetimeMs: accessTokenLifetimeMs });
  const secrets = secretsOf(options.masterKey);
  const mailbox = createMailbox({ secrets });
  const secondFactors = createSecondFactors({ db });
  const signIn = createSignIn({ db, passwords, accessTokens, secondFactors, sessionLifetimeMs, now, logger });
  const accounts = createAccounts({ db, passwords, now, logger });
  const sessionsSince = () => new Date(now().getTime() - sessionLifetimeMs);

  const createContext = (request: RequestContext): IdentityContext => ({
    ...request,
    db,
    accounts,
    signIn,
    mailbox,
    loaders: createLoaders(db, sessionsSince),
  });

  return {
    subgraph: { name: 'identity', schema, createContext },
    authenticator: authenticatorOf(signIn, keyring),
    bootstrap: () => bootstrap({ db, passwords, now, logger }, options.bootstrap),
    rotateSigningKey: () => keyring.rotate(),
    rotateSigningKeyOlderThan: (ageMs) => keyring.rotateOlderThan(ageMs),
    close: () => db.$disconnect(),
  };
}

export { schema as identitySchema };
export type { FirstAdministrator };
