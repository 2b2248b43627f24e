import type { Loose } from '../kit/client.ts';
import type { Fixtures } from './fixtures.ts';

/**
 * Who may do what, as the public graph answers it. Every root field, every entity and every field that its description guards has
 * a row beside this file, in that of its subgraph, held against the supergraph by authorization.test.ts and entities.test.ts: what
 * has no row fails, and so does a row for what is not there.
 */
export const ACTORS = [
  'anonymous',
  /** A token that somebody else's key has signed. */
  'forged',
  /** A token of ours whose time is over. */
  'expired',
  /** A token of a session that has ended. */
  'signedOut',
  'platformAdmin',
  'tenantAdmin',
  'operator',
  'viewer',
  'auditor',
  /** The tenant_admin of another tenant. */
  'stranger',
  /** Has registered, and is in no tenant. */
  'newcomer',
] as const;
export type Actor = (typeof ACTORS)[number];
export const SIGNED_IN = ['platformAdmin', 'tenantAdmin', 'operator', 'viewer', 'auditor', 'stranger', 'newcomer'] as const;
export type SignedInActor = (typeof SIGNED_IN)[number];

/** Who is answered as another one is, unless a row says something else. */
const ALIKE = { auditor: 'viewer', newcomer: 'stranger' } as const satisfies Partial<Record<SignedInActor, SignedInActor>>;
type Alike = keyof typeof ALIKE;
/** A row: what an actor of `Alike` is answered may be left out. */
export type Expected<Of extends Actor> = Record<Exclude<Of, Alike>, Outcome> & Partial<Record<Of & Alike, Outcome>>;

/** The whole row. */
export const everybodys = <Of extends Actor>(expected: Expected<Of>): Record<Of, Outcome> => {
  const known = expected as Partial<Record<Actor, Outcome>>; // read by names of other rows, too
  const alike = Object.entries(ALIKE).map(([actor, other]) => [actor, known[actor as Alike] ?? known[other]]);
  return { ...Object.fromEntries(alike), ...expected } as Record<Of, Outcome>; // those left out are all in ALIKE
};

/** `nothing`: answered, but nothing of the object is in the answer. Any other word in capitals is the error's code. */
export type Outcome = 'ok' | 'null' | 'nothing' | 'UNAUTHENTICATED' | 'FORBIDDEN' | 'NOT_FOUND' | 'BAD_USER_INPUT' | 'INVALID_STATE';

/** What the cases are about: objects of the tenant acme, in which all signed-in actors but the stranger and the newcomer are. */
export interface Subject {
  tenantId: string;
  userId: string;
  /** Where the VM is. */
  hostId: string;
  otherHostId: string;
  vmId: string;
  /** Of the VM. */
  nicId: string;
  /** A VM that has been migrated. */
  movedVmId: string;
  migrationId: string;
  /** What the VM was made by. */
  operationId: string;
  imageId: string;
  /** On the VM's host. */
  poolId: string;
  /** A volume that no VM has, and its snapshot. */
  volumeId: string;
  snapshotId: string;
  /** A volume that the VM has. */
  attachedVolumeId: string;
  networkId: string;
  securityGroupId: string;
  /** Of an event, before which there was no migration. */
  cursor: string;
  /** A file that VMs may boot. */
  kernel: string;
  /** Of the user. */
  sessionId: string;
  /** A service account, and a token of it. */
  serviceAccountId: string;
  apiTokenId: string;
  /** Of the administrator of the platform. */
  sshKeyId: string;
  /** Of a session that nobody uses. */
  refreshToken: string;
  /** Of a mailed link, where one was prepared. */
  mailToken: string;
  /** A mail that was given up, where one was prepared. */
  mailId: string;
  credentials: { email: string; password: string };
  /** Different for each request. */
  unique: string;
}

export interface RootCase {
  document: string;
  variables?(subject: Subject): object;
  /** Where the VM is before each request. */
  vm?: 'STOPPED' | 'RUNNING' | 'PAUSED';
  /** Makes, for each actor who may, what the request is about in place of the subject's. */
  prepare?(fixtures: Fixtures, subject: Subject): Promise<Partial<Subject>>;
  /** Takes back what `prepare`, or the request, did to the fleet: as soon as the request was answered. */
  after?(fixtures: Fixtures, subject: Subject): Promise<void>;
  /** The request ends the session that it is made in, or spends its tokens; or needs one that was just opened. */
  ownSession?: true;
  /** Is the subject in the data of the field? Without it, any answer but null is `ok`. */
  shows?(field: Loose, subject: Subject): boolean;
  expect: Expected<Actor>;
}

export interface EntityCase {
  idOf(subject: Subject): string;
  /** What is asked of the entity. */
  fields: string;
  /** Is there something of it in the answer? */
  shows(entity: Loose): boolean;
  /** An empty list is something, too: who may not read it gets null. */
  showsEmpty?: true;
  expect: Expected<'anonymous' | SignedInActor>;
}

export interface FieldCase {
  document: string;
  variables(subject: Subject): object;
  /** Makes what has a value there, in place of the subject's. */
  prepare?(fixtures: Fixtures): Promise<Partial<Subject>>;
  /** What is guarded, in the value of `field`. */
  pick?(field: Loose): unknown;
  expect: Expected<SignedInActor>;
}

/** What one subgraph adds to the public graph. */
export interface Cases {
  /** By `Query.vm`, `Mutation.createVm`, ... */
  readonly roots: Readonly<Record<string, RootCase>>;
  /** By type: entities as the subgraph answers them when it is asked for a foreign id directly. */
  readonly entities: Readonly<Record<string, EntityCase>>;
  /** By `Host.uri`, ...: fields that are guarded more strictly than their type. */
  readonly fields: Readonly<Record<string, FieldCase>>;
}

const NOBODY = { anonymous: 'UNAUTHENTICATED', forged: 'UNAUTHENTICATED', expired: 'UNAUTHENTICATED', signedOut: 'UNAUTHENTICATED' } as const;
export const row = (platformAdmin: Outcome, tenantAdmin: Outcome, operator: Outcome, viewer: Outcome, stranger: Outcome, others: Partial<Record<Alike, Outcome>> = {}): Expected<Actor> => ({
  ...NOBODY,
  ...others,
  platformAdmin,
  tenantAdmin,
  operator,
  viewer,
  stranger,
});

export const EVERYONE = row('ok', 'ok', 'ok', 'ok', 'ok');
export const MEMBERS = row('ok', 'ok', 'ok', 'ok', 'null');
export const MEMBERS_IN_LISTS = row('ok', 'ok', 'ok', 'ok', 'nothing');
export const OPERATORS = row('ok', 'ok', 'ok', 'FORBIDDEN', 'NOT_FOUND');
export const TENANT_ADMINS = row('ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'NOT_FOUND');
export const PLATFORM_ADMINS = row('ok', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN');
/** Needs no token, but a bad one is refused before anything is looked at. */
export const ANYONE = { ...EVERYONE, anonymous: 'ok' } as const;

/** Where the gateway asks for the permission, in whatever tenant: who has no role holds it in none. */
export const byScope = (expected: Expected<Actor>): Expected<Actor> => ({ ...expected, newcomer: 'FORBIDDEN' });

/** Of entities. */
export const ENTITY_MEMBERS = { anonymous: 'null', platformAdmin: 'ok', tenantAdmin: 'ok', operator: 'ok', viewer: 'ok', stranger: 'null' } as const;
/** Of the fields that a subgraph adds to another's entity: whether the object is there is not its to say. */
export const CONTRIBUTED_MEMBERS = { ...ENTITY_MEMBERS, anonymous: 'nothing', stranger: 'nothing' } as const;
export const CONTRIBUTED_PLATFORM_ADMINS = { anonymous: 'nothing', platformAdmin: 'ok', tenantAdmin: 'nothing', operator: 'nothing', viewer: 'nothing', stranger: 'nothing' } as const;

export const lists = (idOf: (subject: Subject) => string) => (connection: Loose, subject: Subject) =>
  connection['edges'].some(({ node }: Loose) => node.id === idOf(subject));

/** One object by its id, and the list that it is in. */
export const reads = (one: string, many: string, idOf: (subject: Subject) => string, [single, listed] = [MEMBERS, MEMBERS_IN_LISTS]): Record<string, RootCase> => ({
  [`Query.${one}`]: { document: `query ($id: ID!) { ${one}(id: $id) { id } }`, variables: (subject) => ({ id: idOf(subject) }), expect: single },
  [`Query.${many}`]: { document: `{ ${many}(first: 500) { edges { node { id } } } }`, shows: lists(idOf), expect: listed },
});

/** What only administrators of the platform read. */
export const PLATFORM_ADMINS_FIELD = { platformAdmin: 'ok', tenantAdmin: 'null', operator: 'null', viewer: 'null', stranger: 'null' } as const;

export const ofHost = (fields: string): FieldCase => ({
  document: `query ($id: ID!) { host(id: $id) { field: ${fields} } }`,
  variables: ({ hostId }) => ({ id: hostId }),
  expect: PLATFORM_ADMINS_FIELD,
});
