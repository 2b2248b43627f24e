import { printSubgraphSchema } from '@apollo/subgraph';
import { DomainError, newId, type HostId, type TenantId, type UserId, type VmId } from '@novacron/core';
import { requireInTenant, requireViewer, seesTenant, type RequestContext, type Subgraph, type VmFacts } from '@novacron/contracts';
import { connectionType, createBuilder, entityStub, metricsTypes, pageArguments, parsePage, toConnection, migrationStateEnum, operationStateEnum, toSubgraphSchema, vmFilterInput, vmStateEnum } from '@novacron/graphql';
import { composeSupergraph, eventsSdl } from '../src/gateway.ts';

export interface VmRow extends VmFacts {
  id: VmId;
  tenantId: TenantId;
  createdBy: UserId;
}

/** What the small services answer from, and how often they were asked. */
export class World {
  readonly vms = new Map<string, VmRow>();
  readonly hosts = new Map<string, { id: HostId; name: string }>();
  readonly users = new Map<string, { id: UserId; email: string }>();
  /** Subgraph -> requests, each one a fetch of the gateway. */
  readonly fetches: { subgraph: string; context: RequestContext }[] = [];

  addVm(tenantId: TenantId, facts: Partial<VmFacts> = {}): VmRow {
    const hostId = newId<HostId>();
    const createdBy = newId<UserId>();
    const id = newId<VmId>();
    this.hosts.set(hostId, { id: hostId, name: `host-${this.hosts.size + 1}` });
    this.users.set(createdBy, { id: createdBy, email: `user${this.users.size + 1}@example.test` });
    const row: VmRow = { id, tenantId, createdBy, name: 'web', state: 'RUNNING', desiredState: 'RUNNING', generation: 1, hostId, tags: [], ...facts };
    this.vms.set(id, row);
    return row;
  }

  countFetches(subgraph: string): number {
    return this.fetches.filter((fetch) => fetch.subgraph === subgraph).length;
  }
}

const shareable = [{ name: 'shareable', args: {} }] as never; // the directives plugin types none of federation's

function vmsSubgraph(world: World): Subgraph {
  const builder = createBuilder<RequestContext>();
  const states = vmStateEnum(builder);
  const filter = vmFilterInput(builder, states);
  const operationStates = operationStateEnum(builder);
  const User = entityStub(builder, 'User', 'A user.');
  const Host = builder.objectRef<{ id: HostId; name: string }>('Host').implement({
    description: 'A machine that runs VMs.',
    fields: (t) => ({ id: t.exposeID('id', { description: 'Its id.' }), name: t.exposeString('name', { description: 'Its name.' }) }),
  });
  builder.asEntity(Host, { key: builder.selection<{ id: string }>('id'), resolveReference: ({ id }) => world.hosts.get(id) ?? null });
  const Vm = builder.objectRef<VmRow>('Vm').implement({
    description: 'A virtual machine, as its owner describes it.',
    fields: (t) => ({
      id: t.exposeID('id', { description: 'Its id.' }),
      name: t.exposeString('name', { description: 'Its name.', directives: shareable }),
      state: t.field({ type: states, description: 'Its state.', directives: shareable, resolve: (vm) => vm.state }),
      desiredState: t.field({ type: states, description: 'What was asked for.', directives: shareable, resolve: (vm) => vm.desiredState }),
      generation: t.exposeInt('generation', { description: 'Its version.', directives: shareable }),
      tags: t.exposeStringList('tags', { description: 'Its tags.' }),
      host: t.field({ type: Host, nullable: true, description: 'Where it runs.', resolve: (vm) => world.hosts.get(vm.hostId ?? '') ?? null }),
      createdBy: t.field({ type: User, nullable: true, description: 'Who made it.', resolve: (vm) => ({ id: vm.createdBy }) }),
    }),
  });
  builder.asEntity(Vm, {
    key: builder.selection<{ id: string }>('id'),
    resolveReference: ({ id }, { viewer }) => {
      const vm = world.vms.get(id);
      return vm !== undefined && seesTenant(viewer, vm.tenantId) ? vm : null;
    },
  });
  interface OperationRow { id: string; kind: string; state: 'QUEUED' | 'SUCCEEDED'; progress: number }
  const Operation = builder.objectRef<OperationRow>('Operation').implement({
    description: 'A verb under way.',
    fields: (t) => ({
      id: t.exposeID('id', { description: 'Its id.' }),
      kind: t.exposeString('kind', { description: 'Its verb.', directives: shareable }),
      state: t.field({ type: operationStates, description: 'Its state.', directives: shareable, resolve: (row) => row.state }),
      progress: t.exposeFloat('progress', { description: 'Its progress.', directives: shareable }),
      cancellable: t.boolean({ description: 'Whether it can be stopped.', resolve: () => true }),
    }),
  });
  builder.asEntity(Operation, { key: builder.selection<{ id: string }>('id'), resolveReference: ({ id }) => ({ id, kind: 'vm.start', state: 'QUEUED', progress: 0 }) as const });
  const Migration = builder.objectRef<{ id: string }>('Migration').implement({
    description: 'A move under way.',
    fields: (t) => ({
      id: t.exposeID('id', { description: 'Its id.' }),
      state: t.field({ type: migrationStateEnum(builder), description: 'Its state.', directives: shareable, resolve: () => 'QUEUED' as const }),
      progress: t.float({ description: 'Its progress.', directives: shareable, resolve: () => 0 }),
      mode: t.string({ description: 'How it goes.', resolve: () => 'LIVE' }),
    }),
  });
  builder.asEntity(Migration, { key: builder.selection<{ id: string }>('id'), resolveReference: ({ id }) => ({ id }) });
  const HostConnection = connectionType(builder, 'Host', Host);
  builder.queryType({
    description: 'What can be asked.',
    fields: (t) => ({
      migration: t.field({ type: Migration, nullable: true, description: 'A migration.', resolve: () => null }),
      vm: t.field({
        type: Vm,
        nullable: true,
        description: 'A VM.',
        args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
        resolve: (_root, { id }, { viewer }) => {
          const vm = world.vms.get(id);
          if (vm !== undefined) requireInTenant(viewer, 'vm:read', vm.tenantId, 'VM');
          return vm ?? null;
        },
      }),
      vms: t.field({
        type: [Vm],
        nullable: true,
        description: 'All VMs.',
        args: { filter: t.arg({ type: filter, description: 'Which.' }) },
        resolve: (_root, _args, { viewer }) => [...world.vms.values()].filter((vm) => seesTenant(requireViewer(viewer), vm.tenantId)),
      }),
      operation: t.field({
        type: Operation,
        nullable: true,
        description: 'An operation.',
        args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
        resolve: () => null,
      }),
      host: t.field({
        type: Host,
        nullable: true,
        description: 'A host.',
        args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
        resolve: (_root, { id }) => world.hosts.get(id) ?? null,
      }),
      hosts: t.field({
        type: HostConnection,
        description: 'A page of hosts.',
        args: pageArguments(t.arg),
        resolve: (_root, args) => {
          const page = parsePage(args);
          const all = [...world.hosts.values()].toSorted((one, other) => (one.id < other.id ? -1 : 1));
          const from = page.cursor?.[0];
          const rows = page.backwards ? all.toReversed().filter(({ id }) => from === undefined || id < from) : all.filter(({ id }) => from === undefined || id > from);
          return toConnection(rows.slice(0, page.limit + 1), page, ({ id }) => [id], async () => all.length);
        },
      }),
      broken: t.string({
        authenticated: false,
        nullable: true,
        description: 'Fails as code does.',
        resolve: () => {
          throw new Error('password=hunter2 at /srv/secret.ts');
        },
      }),
      refused: t.string({
        authenticated: false,
        nullable: true,
        description: 'Fails as the domain does.',
        resolve: () => {
          throw new DomainError('QUOTA_EXCEEDED', 'The tenant has 3 VMs of 3.', { field: 'vcpus', cause: new Error('inner secret') });
        },
      }),
    }),
  });
  const CreateVmInput = builder.inputType('CreateVmInput', {
    description: 'A VM to make.',
    fields: (t) => ({
      name: t.string({ required: true, description: 'Its name.' }),
      memory: t.field({ type: 'ByteSize', required: true, description: 'Its memory.' }),
    }),
  });
  const RegisterHostInput = builder.inputType('RegisterHostInput', {
    description: 'A host.',
    fields: (t) => ({ name: t.string({ required: true, description: 'Its name.' }), idempotencyKey: t.string({ description: 'Once only.' }) }),
  });
  const VmPayload = builder.objectRef<{ vm: VmRow; operation: OperationRow }>('VmPayload').implement({
    description: 'A VM and what happens to it.',
    fields: (t) => ({
      vm: t.field({ type: Vm, description: 'The VM.', resolve: ({ vm }) => vm }),
      operation: t.field({ type: Operation, description: 'What was begun.', resolve: ({ operation }) => operation }),
    }),
  });
  builder.mutationType({
    description: 'What can be changed.',
    fields: (t) => ({
      createVm: t.field({
        type: 'ByteSize',
        nullable: true,
        description: 'Answers the memory.',
        args: { input: t.arg({ type: CreateVmInput, required: true, description: 'The VM.' }) },
        resolve: (_root, { input }) => input.memory,
      }),
      startVm: t.field({
        type: VmPayload,
        description: 'Starts a VM.',
        args: { id: t.arg.id({ required: true, description: 'Which.' }) },
        resolve: (_root, { id }, { viewer }) => {
          const vm = world.vms.get(id);
          if (vm === undefined) throw new DomainError('NOT_FOUND', 'There is no VM with this id.', { field: 'id' });
          requireInTenant(viewer, 'vm:start', vm.tenantId, 'VM');
          if (vm.state === 'RUNNING') throw new DomainError('INVALID_STATE', 'It runs already.', { field: 'id' });
          return { vm, operation: { id: newId(), kind: 'vm.start', state: 'QUEUED' as const, progress: 0 } };
        },
      }),
      registerHost: t.field({
        type: Host,
        description: 'Takes in a host.',
        args: { input: t.arg({ type: RegisterHostInput, required: true, description: 'The host.' }) },
        resolve: (_root, { input }) => {
          const host = { id: newId<HostId>(), name: input.name };
          world.hosts.set(host.id, host);
          return host;
        },
      }),
    }),
  });
  return counted(world, 'vms', toSubgraphSchema(builder));
}

function identitySubgraph(world: World): Subgraph {
  const builder = createBuilder<RequestContext>();
  const User = builder.objectRef<{ id: UserId; email: string }>('User').implement({
    description: 'A person.',
    fields: (t) => ({ id: t.exposeID('id', { description: 'Its id.' }), email: t.exposeString('email', { description: 'Its address.' }), asking: t.string({ nullable: true, description: 'The session that asks.', resolve: (_user, _args, { viewer }) => viewer?.sessionId ?? null }) }),
  });
  builder.asEntity(User, { key: builder.selection<{ id: string }>('id'), resolveReference: ({ id }) => world.users.get(id) ?? null });
  const AuthPayload = builder.objectRef<{ accessToken: string }>('AuthPayload').implement({
    description: 'What proves who you are.',
    fields: (t) => ({ accessToken: t.exposeString('accessToken', { description: 'Sent with every request.' }) }),
  });
  const LoginInput = builder.inputType('LoginInput', {
    description: 'What proves who you are.',
    fields: (t) => ({ email: t.string({ required: true, description: 'Who.' }), password: t.string({ required: true, description: 'The proof.' }) }),
  });
  const RegisterInput = builder.inputType('RegisterInput', {
    description: 'An account.',
    fields: (t) => ({ email: t.string({ required: true, description: 'Whose.' }), password: t.string({ required: true, description: 'The proof.' }), name: t.string({ required: true, description: 'Who.' }) }),
  });
  builder.queryType({
    description: 'What can be asked.',
    fields: (t) => ({
      me: t.string({ nullable: true, description: "The viewer's id.", resolve: (_root, _args, { viewer }) => requireViewer(viewer).userId }),
      requestId: t.string({ nullable: true, authenticated: false, description: "The request's id.", resolve: (_root, _args, { requestId }) => requestId }),
    }),
  });
  builder.mutationType({
    description: 'What can be changed.',
    fields: (t) => ({
      login: t.field({
        type: AuthPayload,
        authenticated: false,
        description: 'Signs in.',
        args: { input: t.arg({ type: LoginInput, required: true, description: 'Who.' }) },
        resolve: (_root, { input }) => {
          if (input.password !== 'right') throw new DomainError('UNAUTHENTICATED', 'The address or the password is wrong.');
          return { accessToken: `token of ${input.email}` };
        },
      }),
      register: t.field({
        type: AuthPayload,
        authenticated: false,
        description: 'Makes an account.',
        args: { input: t.arg({ type: RegisterInput, required: true, description: 'Whose.' }) },
        resolve: (_root, { input }) => ({ accessToken: `token of ${input.email}` }),
      }),
      logout: t.boolean({ description: 'Signs out.', resolve: (_root, _args, { viewer }) => requireViewer(viewer) !== null }),
    }),
  });
  return counted(world, 'identity', toSubgraphSchema(builder));
}

function monitoringSubgraph(world: World): Subgraph {
  const builder = createBuilder<RequestContext>();
  const Vm = entityStub(builder, 'Vm', 'A VM.');
  metricsTypes(builder, Vm, entityStub(builder, 'Host', 'A host.'));
  builder.queryType({ description: 'What can be asked.', fields: (t) => ({ sampled: t.boolean({ nullable: true, description: 'Nothing.', resolve: () => null }) }) });
  return counted(world, 'monitoring', toSubgraphSchema(builder));
}

function counted(world: World, name: string, schema: Subgraph['schema']): Subgraph {
  return {
    name,
    schema,
    createContext(context) {
      world.fetches.push({ subgraph: name, context });
      return context;
    },
  };
}

/** Three services in miniature over one world. */
export function smallServices() {
  const world = new World();
  return { world, subgraphs: [vmsSubgraph(world), identitySubgraph(world), monitoringSubgraph(world)] };
}

/** The same, and the supergraph that they make together with events. */
export function smallGraph() {
  const { world, subgraphs } = smallServices();
  const sdls = Object.fromEntries(subgraphs.map(({ name, schema }) => [name, printSubgraphSchema(schema)]));
  return { world, subgraphs, sdls, supergraphSdl: composeSupergraph({ ...sdls, events: eventsSdl() }) };
}
