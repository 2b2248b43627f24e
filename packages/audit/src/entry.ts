import type { RequestContext, RoleAssignment, Viewer } from '@novacron/contracts';
import type { ErrorCode } from '@novacron/core';

/** DENIED: for want of a permission or of proof who asks. UNKNOWN: the process that did it was gone before it could say. */
export const OUTCOMES = ['SUCCEEDED', 'FAILED', 'DENIED', 'UNKNOWN'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const CREDENTIALS = ['SESSION', 'API_TOKEN'] as const;
export type Credential = (typeof CREDENTIALS)[number];

/** MUTATION: something was to be changed. ACCESS: something else was refused. */
export const KINDS = ['MUTATION', 'ACCESS'] as const;
export type Kind = (typeof KINDS)[number];

/** Who asks, as whom, and from where. */
export interface Asker {
  userId: string | null;
  /** The session, or the API token. */
  credentialId: string | null;
  credential: Credential | null;
  /** Null for nobody. */
  roles: readonly RoleAssignment[] | null;
  address: string | null;
  userAgent: string | null;
  requestId: string;
}

/** What was done to what. */
export interface Deed {
  kind: Kind;
  /** The mutation's name; of what was refused the field's: "createVm", "user.sessions". */
  action: string;
  targetType: string | null;
  targetId: string | null;
  tenantId: string | null;
  /** What it was asked with; secrets are not in it. */
  arguments: unknown;
}

export interface Ending {
  outcome: Outcome;
  /** Why not. */
  code: ErrorCode | null;
}

/** An entry as it is chained. What is null is not written. */
export interface AuditEntry extends Asker, Deed, Ending {
  /** Dense, from 1. */
  position: number;
  id: string;
  /** In which service; `gateway` for what came no further. */
  service: string;
  /** RFC 3339, in UTC. */
  at: string;
  /** Null for what is UNKNOWN. */
  endedAt: string | null;
  /** How many alike: refusals of the same minute. */
  count: number;
}

const LONGEST = 255;

/** PostgreSQL takes no NUL and no half of a surrogate pair in JSON, and nobody reads a page of a header. */
export const legible = (text: string, longest = LONGEST): string => text.replaceAll('\0', '').slice(0, longest).toWellFormed();

/** As whom somebody asks who has signed in. */
export const askedAs = ({ userId, sessionId, scopes, roles }: Viewer): Pick<Asker, 'userId' | 'credentialId' | 'credential' | 'roles'> => ({
  userId,
  credentialId: sessionId,
  credential: scopes === undefined ? 'SESSION' : 'API_TOKEN',
  roles,
});

const NOBODY = { userId: null, credentialId: null, credential: null, roles: null } as const;

/** As whom a request is made. */
export function askerOf({ viewer, requestId, address, userAgent }: RequestContext): Asker {
  return {
    ...(viewer === null ? NOBODY : askedAs(viewer)),
    address,
    userAgent: userAgent === null ? null : legible(userAgent),
    requestId: legible(requestId),
  };
}

const UNWRITTEN = { userId: null, credentialId: null, credential: null, roles: null, address: null, userAgent: null, targetType: null, targetId: null, tenantId: null, arguments: null, code: null, endedAt: null } as const;

/** An entry from its content in the log. */
export const readEntry = (content: string): AuditEntry => ({ ...UNWRITTEN, ...(JSON.parse(content) as Omit<AuditEntry, keyof typeof UNWRITTEN>) }); // as chain_audit wrote it
