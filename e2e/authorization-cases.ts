import type { Loose } from './kit/client.ts';

/**
 * Who may do what, as the public graph answers it. Every root field and every entity has a row here, held against the
 * supergraph by authorization.test.ts: what has no row fails, and so does a row for what is not there.
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
  /** The tenant_admin of another tenant. */
  'stranger',
] as const;
export type Actor = (typeof ACTORS)[number];
export type SignedInActor = 'platformAdmin' | 'tenantAdmin' | 'operator' | 'viewer' | 'stranger';

/** `nothing`: answered, but nothing of the object is in the answer. Any other word in capitals is the error's code. */
export type Outcome = 'ok' | 'null' | 'nothing' | 'UNAUTHENTICATED' | 'FORBIDDEN' | 'NOT_FOUND';

/** What the cases are about: objects of the tenant acme, in which all signed-in actors but the stranger are. */
export interface Subject {
  tenantId: string;
  userId: string;
  hostId: string;
  vmId: string;
  operationId: string;
  imageId: string;
  /** A file that VMs may boot. */
  kernel: string;
  /** Of a session that is opened for this one request. */
  refreshToken: string;
  credentials: { email: string; password: string };
  /** Different for each request. */
  unique: string;
}

export interface RootCase {
  document: string;
  variables?(subject: Subject): object;
  /** Where the VM is before each request. */
  vm?: 'STOPPED' | 'RUNNING' | 'PAUSED' | 'fresh';
  /** Each request has an image of its own. */
  freshImage?: true;
  /** An operation that can be cancelled is under way. */
  cancellable?: true;
  /** The request ends the session that it is made in, or spends its tokens. */
  ownSession?: true;
  /** Is the subject in the data of the field? Without it, any answer but null is `ok`. */
  shows?(field: Loose, subject: Subject): boolean;
  expect: Record<Actor, Outcome>;
}

const HOUR_MS = 60 * 60_000;

const NOBODY = { anonymous: 'UNAUTHENTICATED', forged: 'UNAUTHENTICATED', expired: 'UNAUTHENTICATED', signedOut: 'UNAUTHENTICATED' } as const;
const row = (platformAdmin: Outcome, tenantAdmin: Outcome, operator: Outcome, viewer: Outcome, stranger: Outcome): Record<Actor, Outcome> => ({
  ...NOBODY,
  platformAdmin,
  tenantAdmin,
  operator,
  viewer,
  stranger,
});

const EVERYONE = row('ok', 'ok', 'ok', 'ok', 'ok');
const MEMBERS = row('ok', 'ok', 'ok', 'ok', 'null');
const MEMBERS_IN_LISTS = row('ok', 'ok', 'ok', 'ok', 'nothing');
const OPERATORS = row('ok', 'ok', 'ok', 'FORBIDDEN', 'NOT_FOUND');
const TENANT_ADMINS = row('ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'NOT_FOUND');
const PLATFORM_ADMINS = row('ok', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN');
/** Needs no token, but a bad one is refused before anything is looked at. */
const ANYONE = { ...EVERYONE, anonymous: 'ok' } as const;

const lists = (idOf: (subject: Subject) => string) => (connection: Loose, subject: Subject) =>
  connection['edges'].some(({ node }: Loose) => node.id === idOf(subject));
const verb = (field: string, vm: RootCase['vm'], more = ''): RootCase => ({
  document: `mutation ($id: ID!) { ${field}(id: $id${more}) { vm { id } operation { id } } }`,
  variables: ({ vmId }) => ({ id: vmId }),
  ...(vm === undefined ? {} : { vm }),
  expect: OPERATORS,
});
const vmInput = ({ tenantId, unique, kernel }: Subject) => ({ input: { name: unique, tenantId, memory: '64MiB', kernel: { kernel }, start: false } });

export const ROOT_CASES: Record<string, RootCase> = {
  'Query.me': { document: '{ me { id } }', expect: EVERYONE },
  'Query.user': { document: 'query ($id: ID!) { user(id: $id) { id email } }', variables: ({ userId }) => ({ id: userId }), expect: MEMBERS },
  'Query.users': {
    document: '{ users { edges { node { id email } } } }',
    shows: lists(({ userId }) => userId),
    expect: row('ok', 'ok', 'nothing', 'nothing', 'nothing'),
  },
  'Query.tenant': { document: 'query ($id: ID!) { tenant(id: $id) { id quota { vms } } }', variables: ({ tenantId }) => ({ id: tenantId }), expect: MEMBERS },
  'Query.tenants': { document: '{ tenants { edges { node { id } } } }', shows: lists(({ tenantId }) => tenantId), expect: MEMBERS_IN_LISTS },
  'Query.operation': {
    document: 'query ($id: ID!) { operation(id: $id) { id kind } }',
    variables: ({ operationId }) => ({ id: operationId }),
    expect: MEMBERS,
  },
  'Query.operations': {
    document: '{ operations(first: 500) { edges { node { id } } } }',
    shows: lists(({ operationId }) => operationId),
    expect: MEMBERS_IN_LISTS,
  },
  'Query.host': { document: 'query ($id: ID!) { host(id: $id) { id name state } }', variables: ({ hostId }) => ({ id: hostId }), expect: EVERYONE },
  'Query.hosts': { document: '{ hosts { edges { node { id name } } } }', shows: lists(({ hostId }) => hostId), expect: EVERYONE },
  'Query.vm': { document: 'query ($id: ID!) { vm(id: $id) { id name } }', variables: ({ vmId }) => ({ id: vmId }), expect: MEMBERS },
  'Query.vms': { document: '{ vms(first: 500) { edges { node { id } } } }', shows: lists(({ vmId }) => vmId), expect: MEMBERS_IN_LISTS },
  'Query.planVm': {
    document: 'query ($input: CreateVmInput!) { planVm(input: $input) { strategy chosen { id } } }',
    variables: vmInput,
    expect: OPERATORS,
  },

  'Mutation.login': {
    document: 'mutation ($input: LoginInput!) { login(input: $input) { accessToken } }',
    variables: ({ credentials }) => ({ input: credentials }),
    expect: ANYONE,
  },
  'Mutation.refreshSession': {
    document: 'mutation ($token: String!) { refreshSession(refreshToken: $token) { accessToken } }',
    variables: ({ refreshToken }) => ({ token: refreshToken }),
    ownSession: true,
    expect: ANYONE,
  },
  'Mutation.logout': { document: 'mutation { logout }', ownSession: true, expect: EVERYONE },
  'Mutation.createTenant': {
    document: 'mutation ($input: CreateTenantInput!) { createTenant(input: $input) { id } }',
    variables: ({ unique }) => ({ input: { name: unique } }),
    expect: PLATFORM_ADMINS,
  },
  'Mutation.createUser': {
    document: 'mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }',
    variables: ({ tenantId, unique }) => ({ input: { email: `${unique}@novacron.test`, name: unique, password: 'long enough to do', tenantId, role: 'viewer' } }),
    expect: TENANT_ADMINS,
  },
  'Mutation.assignRole': {
    document: 'mutation ($userId: ID!, $tenantId: ID!) { assignRole(userId: $userId, role: "viewer", tenantId: $tenantId) { id } }',
    variables: ({ userId, tenantId }) => ({ userId, tenantId }),
    expect: TENANT_ADMINS,
  },
  'Mutation.registerHost': {
    document: 'mutation ($input: RegisterHostInput!) { registerHost(input: $input) { id } }',
    variables: ({ unique }) => ({ input: { name: unique, uri: `qemu+unix:///system?socket=/run/novacron-test/${unique}` } }),
    expect: PLATFORM_ADMINS,
  },
  'Mutation.createVm': {
    document: 'mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id } operation { id } } }',
    variables: vmInput,
    expect: OPERATORS,
  },
  'Mutation.updateVm': {
    document: 'mutation ($input: UpdateVmInput!) { updateVm(input: $input) { vm { id } operation { id } } }',
    variables: ({ vmId, unique }) => ({ input: { id: vmId, tags: [unique] } }),
    expect: OPERATORS,
  },
  'Mutation.startVm': verb('startVm', 'STOPPED'),
  'Mutation.stopVm': verb('stopVm', 'RUNNING', ', force: true'),
  'Mutation.rebootVm': verb('rebootVm', 'RUNNING', ', force: true'),
  'Mutation.pauseVm': verb('pauseVm', 'RUNNING'),
  'Mutation.resumeVm': verb('resumeVm', 'PAUSED'),
  'Mutation.deleteVm': verb('deleteVm', 'fresh'),
  'Mutation.cancelOperation': {
    document: 'mutation ($id: ID!) { cancelOperation(id: $id) { id state } }',
    variables: ({ operationId }) => ({ id: operationId }),
    cancellable: true,
    expect: OPERATORS,
  },

  'Query.image': { document: 'query ($id: ID!) { image(id: $id) { id name } }', variables: ({ imageId }) => ({ id: imageId }), expect: MEMBERS },
  'Query.images': { document: '{ images(first: 500) { edges { node { id } } } }', shows: lists(({ imageId }) => imageId), expect: MEMBERS_IN_LISTS },
  'Mutation.importImage': {
    document: 'mutation ($input: ImportImageInput!) { importImage(input: $input) { image { id } operation { id } } }',
    variables: ({ tenantId, unique }) => ({ input: { name: unique, tenantId, url: 'http://127.0.0.1/' } }),
    expect: OPERATORS,
  },
  'Mutation.createImageUpload': {
    document: 'mutation ($input: ImageUploadInput!) { createImageUpload(input: $input) { image { id } url } }',
    variables: ({ tenantId, unique }) => ({ input: { name: unique, tenantId, format: 'raw', sha256: '0'.repeat(64), size: 512 } }),
    expect: OPERATORS,
  },
  'Mutation.deleteImage': {
    document: 'mutation ($id: ID!) { deleteImage(id: $id) { image { id } operation { id } } }',
    variables: ({ imageId }) => ({ id: imageId }),
    freshImage: true,
    expect: OPERATORS,
  },

  'Subscription.vmChanged': { document: 'subscription { vmChanged { vm { id } } }', shows: ({ vm }, { vmId }) => vm.id === vmId, expect: MEMBERS_IN_LISTS },
  'Subscription.operationChanged': {
    document: 'subscription { operationChanged { id targetId } }',
    shows: ({ targetId }, { vmId }) => targetId === vmId,
    expect: MEMBERS_IN_LISTS,
  },
  'Subscription.vmMetrics': {
    document: 'subscription { vmMetrics(intervalMs: 1000) { vm { id } cpu } }',
    vm: 'RUNNING',
    shows: ({ vm }, { vmId }) => vm.id === vmId,
    expect: MEMBERS_IN_LISTS,
  },
  'Subscription.hostMetrics': {
    document: 'subscription { hostMetrics(intervalMs: 1000) { host { id } cpu } }',
    shows: ({ host }, { hostId }) => host.id === hostId,
    expect: PLATFORM_ADMINS,
  },
};

export interface EntityCase {
  idOf(subject: Subject): string;
  /** What is asked of the entity. */
  fields: string;
  /** Is there something of it in the answer? */
  shows(entity: Loose): boolean;
  expect: Record<'anonymous' | SignedInActor, Outcome>;
}

const members = { anonymous: 'null', platformAdmin: 'ok', tenantAdmin: 'ok', operator: 'ok', viewer: 'ok', stranger: 'null' } as const;

/** `<subgraph>.<type>`: entities as the subgraph answers them when it is asked for a foreign id directly. */
export const ENTITY_CASES: Record<string, EntityCase> = {
  'identity.User': { idOf: ({ userId }) => userId, fields: 'id email', shows: ({ email }) => email !== null, expect: members },
  'identity.Tenant': { idOf: ({ tenantId }) => tenantId, fields: 'id name usage { vms }', shows: ({ name }) => name === 'acme', expect: members },
  'vms.Vm': { idOf: ({ vmId }) => vmId, fields: 'id name state', shows: ({ name }) => name !== null, expect: members },
  'vms.Host': {
    idOf: ({ hostId }) => hostId,
    fields: 'id name state',
    shows: ({ name }) => name !== null,
    expect: { ...members, stranger: 'ok' },
  },
  'storage.Image': { idOf: ({ imageId }) => imageId, fields: 'id name state', shows: ({ name }) => name !== null, expect: members },
  'operations.Operation': { idOf: ({ operationId }) => operationId, fields: 'id kind state', shows: ({ kind }) => kind !== null, expect: members },
  'operations.Vm': {
    idOf: ({ vmId }) => vmId,
    fields: 'id operations { totalCount edges { node { id } } }',
    shows: ({ operations }) => operations.totalCount > 0 || operations.edges.length > 0,
    expect: { ...members, anonymous: 'UNAUTHENTICATED', stranger: 'nothing' },
  },
  'monitoring.Vm': {
    idOf: ({ vmId }) => vmId,
    fields: `id metrics { cpu } metricsHistory(from: "${new Date(Date.now() - HOUR_MS).toISOString()}") { cpu }`,
    shows: ({ metrics, metricsHistory }) => metrics !== null || metricsHistory.length > 0,
    expect: { ...members, anonymous: 'nothing', stranger: 'nothing' },
  },
  'monitoring.Host': {
    idOf: ({ hostId }) => hostId,
    fields: 'id metrics { cpu }',
    shows: ({ metrics }) => metrics !== null,
    expect: { anonymous: 'nothing', platformAdmin: 'ok', tenantAdmin: 'nothing', operator: 'nothing', viewer: 'nothing', stranger: 'nothing' },
  },
};

export interface FieldCase {
  document: string;
  variables(subject: Subject): object;
  expect: Record<SignedInActor, Outcome>;
}

const ofHost = (fields: string): FieldCase => ({
  document: `query ($id: ID!) { host(id: $id) { field: ${fields} } }`,
  variables: ({ hostId }) => ({ id: hostId }),
  expect: { platformAdmin: 'ok', tenantAdmin: 'null', operator: 'null', viewer: 'null', stranger: 'null' },
});
const ofUser = (fields: string): FieldCase => ({
  document: `query ($id: ID!) { user(id: $id) { field: ${fields} } }`,
  variables: ({ userId }) => ({ id: userId }),
  expect: { platformAdmin: 'ok', tenantAdmin: 'ok', operator: 'FORBIDDEN', viewer: 'FORBIDDEN', stranger: 'null' },
});

/** Fields that are guarded more strictly than their type. */
export const FIELD_CASES: Record<string, FieldCase> = {
  'Host.uri': ofHost('uri'),
  'Host.labels': ofHost('labels'),
  'Host.capacity': ofHost('capacity { vcpus }'),
  'Host.allocated': ofHost('allocated { vcpus }'),
  'Host.metrics': ofHost('metrics { cpu }'),
  'User.roles': ofUser('roles { role }'),
  'User.permissions': ofUser('permissions'),
  'User.sessions': ofUser('sessions { id }'),
};
