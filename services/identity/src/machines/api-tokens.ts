import { createHash, randomBytes } from 'node:crypto';
import { API_TOKEN_PREFIX, requireSettled, requireSignedIn, type Authenticator, type RequestContext, type RoleAssignment, type Viewer } from '@novacron/contracts';
import { DomainError, parseId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import type { OwnPassword } from '../accounts/own-password.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import { parseName } from '../rules.ts';
import { API_TOKEN_COLUMNS, createApiToken, findPresented, recordUse, revokeApiToken, type ApiTokenRecord } from '../store/api-tokens.ts';
import type { Database } from '../store/database.ts';
import { userRecord, USER_COLUMNS } from '../store/records.ts';
import { requireAdministers, viewTenant, viewUser, type UserView } from '../visibility.ts';
import { isWithin, parseNetworks } from './addresses.ts';
import { mayBeScope, parseScopes, requireHolds, rolesWithin } from './scopes.ts';

export interface NewToken {
  name: string;
  scopes: readonly string[];
  expiresAt?: Date | null | undefined;
  tenantId?: string | null | undefined;
  addresses?: readonly string[] | null | undefined;
  /** A service account; left out: whoever asks. */
  userId?: string | null | undefined;
  /** The maker's. */
  password?: string | null | undefined;
}

/** Tokens for programs. */
export interface ApiTokens {
  /**
   * The secret is told here and never again; its maker is told by mail that there is such a token. Errors: UNAUTHENTICATED, FORBIDDEN (an API token asks, who owes something first, or the scopes are more than
   * the user or its maker has), NOT_FOUND (tenantId, userId), BAD_USER_INPUT with the field, QUOTA_EXCEEDED.
   */
  create(asker: RequestContext, input: NewToken): Promise<{ token: ApiTokenRecord; secret: string }>;
  /** One's own, or one of a user that one administers. Idempotent. Errors: UNAUTHENTICATED, FORBIDDEN, NOT_FOUND. */
  revoke(asker: Asker, id: string): Promise<void>;
  /** As the authenticator's, for the secrets of such tokens. */
  authenticate: Authenticator['authenticate'];
}

const SECRET_BYTES = 32;
const SECRET = new RegExp(`^${API_TOKEN_PREFIX}[\\w-]{43}$`);
/** Enough to tell tokens from one another, and far too little to guess from. */
const SHOWN_LENGTH = API_TOKEN_PREFIX.length + 6;
/** How exactly the last use is known: of more uses in this time, one is written. */
const USE_PRECISION_MS = 60_000;
/** What a token is good for that does not expire: the last moment that there is (ECMA-262, 21.4.1.1). */
const NEVER = new Date(8.64e15);

export const isApiToken = (token: string): boolean => token.startsWith(API_TOKEN_PREFIX);

const hashOf = (secret: string): Buffer<ArrayBuffer> => createHash('sha256').update(secret).digest();

interface ApiTokensOptions {
  db: Database;
  ownPassword: OwnPassword;
  mailbox: Mailbox;
  now: () => Date;
  logger: Logger;
}

export function createApiTokens({ db, ownPassword, mailbox, now, logger }: ApiTokensOptions): ApiTokens {
  async function findView(viewer: Viewer, id: string): Promise<UserView | null> {
    const row = await db.user.findUnique({ where: { id }, select: USER_COLUMNS });
    return viewUser(row === null ? null : userRecord(row), viewer);
  }

  /** For whom a token is made: oneself, or a service account in whose tenants one makes such. */
  async function ownerOf(viewer: Viewer, userId: string | null | undefined): Promise<{ userId: UserId; roles: readonly RoleAssignment[] }> {
    if (userId == null) return viewer;
    const id = parseId<UserId>(userId, 'user', 'userId');
    if (id === viewer.userId) return viewer;
    const view = await findView(viewer, id);
    if (view === null) throw new DomainError('NOT_FOUND', 'There is no user with this id.', { field: 'userId' });
    if (view.user.kind !== 'service') throw new DomainError('FORBIDDEN', 'People make their API tokens themselves: this is no service account.', { field: 'userId' });
    requireAdministers(view, 'service_account:create');
    return { userId: view.user.id, roles: view.user.roles };
  }

  async function tenantOf(viewer: Viewer, tenantId: string | null | undefined): Promise<TenantId | null> {
    if (tenantId == null) return null;
    const id = parseId<TenantId>(tenantId, 'tenant', 'tenantId');
    const tenant = viewTenant(await db.tenant.findUnique({ where: { id } }).then((row) => row && { ...row, id }), viewer);
    if (tenant === null) throw new DomainError('NOT_FOUND', 'There is no tenant with this id.', { field: 'tenantId' });
    return id;
  }

  function parseExpiry(expiresAt: Date | null | undefined): Date | null {
    if (expiresAt != null && expiresAt <= now()) throw new DomainError('BAD_USER_INPUT', 'A token expires in the future.', { field: 'expiresAt' });
    return expiresAt ?? null;
  }

  return {
    async create({ viewer, requestId, address }, input) {
      const maker = requireSettled(viewer);
      const owner = await ownerOf(maker, input.userId);
      const tenantId = await tenantOf(maker, input.tenantId);
      const [name, scopes, addresses, expiresAt] = [parseName(input.name), parseScopes(input.scopes), parseNetworks(input.addresses ?? []), parseExpiry(input.expiresAt)];
      requireHolds({ ...maker, roles: rolesWithin(maker.roles, tenantId) }, scopes, 'You are');
      requireHolds({ ...maker, userId: owner.userId, roles: rolesWithin(owner.roles, tenantId) }, scopes, 'This account is');
      await ownPassword.requireRecent(maker, input.password);
      const at = now();
      const secret = API_TOKEN_PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
      const { userId } = owner;
      const prefix = secret.slice(0, SHOWN_LENGTH);
      const made = { userId, name, prefix, tokenHash: hashOf(secret), scopes, tenantId, addresses, createdAt: at, createdBy: maker.userId, expiresAt };
      const token = await createApiToken(db, maker, made, async (tx, { name: makerName, email, emailClaimed }) => {
        if (!emailClaimed) return; // to nobody who might be a stranger
        await mailbox.post(tx, { kind: 'api_token_created', recipient: email, userId: maker.userId, content: { name: makerName, called: name, prefix, address, at } }, at);
      });
      logger.info({ requestId, by: maker.userId, userId, apiTokenId: token.id, scopes, tenantId }, 'API token created');
      return { token, secret };
    },

    async revoke({ viewer, requestId }, id) {
      const known = requireSignedIn(viewer);
      const tokenId = parseId(id, 'API token', 'id');
      const token = await db.apiToken.findUnique({ where: { id: tokenId }, select: API_TOKEN_COLUMNS });
      const view = token && (await findView(known, token.userId));
      if (view === null) throw new DomainError('NOT_FOUND', 'There is no API token with this id.', { field: 'id' });
      const { id: userId } = view.user;
      if (userId !== known.userId) requireAdministers(view, 'api_token:revoke');
      await revokeApiToken(db, { id: tokenId, userId }, now());
      logger.info({ requestId, by: known.userId, userId, apiTokenId: tokenId }, 'API token revoked');
    },

    async authenticate(secret, address) {
      const token = SECRET.test(secret) ? await findPresented(db, hashOf(secret)) : null;
      const at = now();
      const isGood = token !== null && (token.expires_at === null || token.expires_at > at) && isWithin(token.addresses, address);
      // In one word whatever was wrong: who found a token does not learn what it is good for.
      if (!isGood) throw new DomainError('UNAUTHENTICATED', 'This API token is unknown, revoked, expired or not for your address.');
      if (token.last_used_at === null || at.getTime() - token.last_used_at.getTime() >= USE_PRECISION_MS) await recordUse(db, token.id, { at, address });
      const known = { userId: token.user_id, sessionId: token.id as SessionId, scopes: token.scopes.filter(mayBeScope) }; // what stands for its session
      const viewer: Viewer = token.owes === null ? { ...known, roles: rolesWithin(token.roles, token.tenant_id) } : { ...known, roles: [], owes: token.owes };
      return { viewer, issuedAt: token.created_at, expiresAt: token.expires_at ?? NEVER };
    },
  };
}
