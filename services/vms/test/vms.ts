import { startAgent, type AgentProcess } from '@novacron/agent';
import { DOMAIN_NAME_PREFIX, domainName, type Role, type Viewer } from '@novacron/contracts';
import { DomainError, newId, type ErrorRecord, type HostId, type OperationId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { postgresPool } from '@novacron/database';
import { createBells, requestCancel, setQuota, startSweeper, type AnyStep as AnyStepOf, type OperationsWorker, type Resources, type Sql } from '@novacron/operations';
import { eventually, guest, migratedDatabase, startLibvirtHosts, startRedis, type Guest, type TestHost, type TestRedis } from '@novacron/testkit';
import { graphql, type GraphQLError } from 'graphql';
import pg from 'pg';
import { pino } from 'pino';
import { openDatabase, type Tx } from '../src/database.ts';
import { createVmsService, type VmsService } from '../src/service.ts';
import { attachHost, hostSteps, SERVICE_STEPS, startServiceWorker, type WorkerContext } from '../src/worker.ts';
import { haltingKernel, type TestKernel } from './halting-kernel.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- answers have the shape of the test's own query
export type Loose = Record<string, any>;
export type AnyStep = AnyStepOf<Tx>;

export interface Answer {
  data: Loose;
  /** The first error as its record; null without one. */
  error: ErrorRecord | null;
}

export interface VmsTestOptions {
  /** How many libvirt hosts to start and take into the fleet: one, unless told otherwise. Without any, nothing works in the background. */
  hosts?: number;
  /** Changes the steps that this engine's workers do. */
  disturb?(step: AnyStep): AnyStep;
}

export interface TestVms {
  service: VmsService;
  databaseUrl: string;
  redis: TestRedis;
  hosts: readonly TestHost[];
  /** What was logged. */
  logged: readonly string[];
  /** Each host's id in the fleet, by its name. */
  hostIds: ReadonlyMap<string, HostId>;
  /** A kernel that halts at once, and a guest with a userspace. Both lie in allowed directories. */
  halting: TestKernel;
  guest: Guest;
  /** A tenant, made as identity makes it. */
  tenant(quota?: Partial<Resources>): Promise<TenantId>;
  /** Asks the subgraph as the viewer (null: nobody). */
  ask(viewer: Viewer | null, source: string, variables?: object): Promise<Answer>;
  /** The `_entities` of a type, as the gateway asks for them. */
  entities(viewer: Viewer | null, type: 'Vm' | 'Host', ids: readonly string[], selection: string): Promise<Answer>;
  /** Straight from the tables, as the owner. */
  sql(text: string, values?: unknown[]): Promise<Loose[]>;
  /** The VM's row. */
  row(vmId: string): Promise<Loose>;
  /** The operation's row, once it has ended. */
  ended(operationId: string, timeoutMs?: number): Promise<{ state: string; error: ErrorRecord | null }>;
  /** Asks for the operation's cancellation, as the operations service does. */
  cancel(operationId: OperationId): Promise<void>;
  /** What was told of one entity, oldest first. */
  events(entityId: string): Promise<{ type: string; body: Loose }[]>;
  /** The agent and the workers of a process. Idempotent. */
  startEngine(): Promise<void>;
  /** Ends them in order. */
  stopEngine(): Promise<void>;
  /** Ends them as a crash would, and lets their leases and claims run out. */
  dropEngine(): Promise<void>;
  /** Waits until the host is in that state. */
  hostIs(name: string, state: 'ONLINE' | 'OFFLINE', timeoutMs?: number): Promise<Loose>;
  /** What virsh says of the VM's domain; 'gone' when there is none. */
  virshState(vmId: string, host?: TestHost): Promise<string>;
  /** How much of everything there is, to be compared: what was refused has changed none of it. */
  footprint(): Promise<Loose>;
  /** Fails unless hosts, claims, quotas and operations hold exactly what the living VMs account for. */
  nothingLeftBehind(): Promise<void>;
  close(): Promise<void>;
}

/** Those of a viewer with these roles. */
export const viewerWith = (...roles: [Role, TenantId][]): Viewer => ({
  userId: newId<UserId>(),
  sessionId: newId<SessionId>(),
  roles: roles.map(([role, tenantId]) => ({ role, tenantId })),
});

/** How the engine of a test decides: room enough for many small VMs, and no acceleration on a test host. */
const HOST_POLICY = { overcommit: { cpu: 16, memory: 1 }, isAccelerated: () => Promise.resolve(false) };
const SWEEP_MS = 200;
/** Seeds are storage's to open: here, nothing reads them. */
const sealSeed = () => ({ sealed: '', keyId: '' });

export async function startVms({ hosts: hostCount = 1, disturb }: VmsTestOptions = {}): Promise<TestVms> {
  const [database, redis, fleet, halting, userspace] = await Promise.all([
    migratedDatabase(),
    startRedis(),
    hostCount > 0 ? startLibvirtHosts(hostCount) : { hosts: [], stop: () => Promise.resolve() },
    haltingKernel(),
    guest(),
  ]);
  const logged: string[] = [];
  const log = process.env['NOVACRON_TEST_LOG']; // a level: also to stderr
  const logger = pino({ level: log ?? 'info' }, { write: (line: string) => (logged.push(line), log && process.stderr.write(line)) });
  const owner = new pg.Pool({ connectionString: database.url, max: 4 });
  owner.on('error', () => {}); // a connection that is about to end may still hear that the database goes
  const identity = postgresPool(database.url, 'identity', 1);
  const operations = postgresPool(database.url, 'operations', 1);
  const bells = createBells(redis.options, logger);
  const sweeper = startSweeper({ sql: sqlOf(operations), bells, logger, intervalMs: SWEEP_MS });
  const workersDatabase = openDatabase(database.url);
  const bootDirectories = [halting.bootDir, userspace.bootDir];
  const service = createVmsService({ databaseUrl: database.url, redis: redis.options, logger, bootDirectories, hostPolicy: HOST_POLICY, sealSeed });
  const context: WorkerContext = { database: workersDatabase, bells, redis: redis.options, logger, bootDirectories, hostPolicy: HOST_POLICY };
  const attach = disturb ? attachHost(context, (...given) => hostSteps(...given).map(disturb)) : service.attachHost;
  const hostIds = new Map<string, HostId>();
  let agent: AgentProcess | null = null;
  let worker: OperationsWorker | null = null;

  const sql = async (text: string, values: unknown[] = []): Promise<Loose[]> => (await owner.query<Loose>(text, values)).rows;
  const hostIs: TestVms['hostIs'] = (name, state, timeoutMs = 20_000) =>
    eventually(`host ${name} to be ${state}`, async () => (await sql('SELECT * FROM vms.host WHERE name = $1 AND state::text = $2', [name, state]))[0], { timeoutMs });

  const vms: TestVms = {
    service,
    databaseUrl: database.url,
    redis,
    hosts: fleet.hosts,
    logged,
    hostIds,
    halting,
    guest: userspace,
    async tenant(quota = {}) {
      const id = newId<TenantId>();
      await setQuota(sqlOf(identity), id, quota);
      return id;
    },
    ask: (viewer, source, variables = {}) => ask(service, viewer, source, variables),
    entities: (viewer, type, ids, selection) =>
      ask(service, viewer, `query ($of: [_Any!]!) { _entities(representations: $of) { ... on ${type} { ${selection} } } }`, {
        of: ids.map((id) => ({ __typename: type, id })),
      }),
    sql,
    async row(vmId) {
      const [row] = await sql('SELECT * FROM vms.vm WHERE id = $1', [vmId]);
      if (!row) throw new Error(`There is no VM ${vmId}.`);
      return row;
    },
    ended: (operationId, timeoutMs = 30_000) =>
      eventually(
        `the end of operation ${operationId}`,
        async () => {
          const [row] = await sql('SELECT kind, state, error, finished_at FROM operations.operation WHERE id = $1', [operationId]);
          if (!row?.['finished_at']) throw new Error(`${row?.['kind']} is ${row?.['state']}`);
          return { state: row['state'], error: row['error'] };
        },
        { timeoutMs },
      ),
    cancel: async (operationId) => bells.ring(await requestCancel(sqlOf(operations), operationId)),
    events: async (entityId) =>
      (await sql('SELECT type, body FROM operations.outbox WHERE entity_id = $1 ORDER BY id', [entityId])) as { type: string; body: Loose }[], // as selected
    async startEngine() {
      if (agent) return;
      agent = startAgent({ databaseUrl: database.url, listHosts: service.listHosts, admit: service.admitHost, attach: [attach], logger });
      if (disturb) worker = startServiceWorker(context, SERVICE_STEPS.map(disturb));
      await Promise.all(fleet.hosts.map((host) => hostIs(host.name, 'ONLINE')));
    },
    async stopEngine() {
      await Promise.all([agent?.close(), worker?.close()]);
      [agent, worker] = [null, null];
    },
    async dropEngine() {
      await Promise.all([agent?.close({ force: true }), worker?.close({ force: true })]);
      [agent, worker] = [null, null];
      await sql('UPDATE operations.host_lease SET expires_at = clock_timestamp()');
      await sql('UPDATE operations.step SET claimed_until = clock_timestamp() WHERE claimed_until > clock_timestamp()');
      await sql("UPDATE vms.host SET state = 'OFFLINE', problem = 'dropped'"); // so that startEngine waits for its own report
    },
    hostIs,
    virshState: async (vmId, host = fleet.hosts[0]) => (await host?.virsh('domstate', domainName(vmId)).catch(() => null)) ?? 'gone',
    footprint: async () => (await sql(FOOTPRINT))[0] ?? {},
    nothingLeftBehind: () => nothingLeftBehind(vms),
    async close() {
      await vms.stopEngine();
      await sweeper.close();
      await service.close();
      await bells.close();
      await workersDatabase.$disconnect();
      await Promise.all([owner.end(), identity.end(), operations.end()]);
      await Promise.all([redis.stop(), fleet.stop(), database.drop()]);
    },
  };

  if (hostCount === 0) return vms;
  if (!disturb) service.start();
  const platform = viewerWith(['platform_admin', newId()]);
  for (const host of fleet.hosts) {
    const { data, error } = await vms.ask(platform, 'mutation ($input: RegisterHostInput!) { registerHost(input: $input) { id } }', {
      input: { name: host.name, uri: host.uri },
    });
    if (error) throw new Error(error.message);
    hostIds.set(host.name, data['registerHost'].id);
  }
  await vms.startEngine();
  return vms;
}

const sqlOf = (pool: pg.Pool): Sql => ({
  $queryRawUnsafe: async <Rows>(query: string, ...values: unknown[]) => (await pool.query(query, values)).rows as Rows, // as the caller declares
});

async function ask({ subgraph }: VmsService, viewer: Viewer | null, source: string, variables: object): Promise<Answer> {
  const { data, errors } = await graphql({
    schema: subgraph.schema,
    source,
    variableValues: { ...variables },
    contextValue: subgraph.createContext({ viewer, requestId: 'test', address: '192.0.2.1', userAgent: null }),
  });
  return { data: data as Loose, error: recordOf(errors?.[0]) }; // the test names what it asked for
}

function recordOf(error: GraphQLError | undefined): ErrorRecord | null {
  if (error === undefined) return null;
  if (error.originalError instanceof DomainError) return error.originalError.toRecord();
  throw error; // a fault of the test's own query, or one of ours that no caller should see
}

export const CREATE = 'mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id name state generation } operation { id } } }';

/** Asks for a VM that halts, of 32 MiB, with these changes. */
export const requestVm = (vms: TestVms, viewer: Viewer | null, input: object): Promise<Answer> =>
  vms.ask(viewer, CREATE, { input: { memory: '32MiB', kernel: { kernel: vms.halting.kernel }, ...input } });

/** Makes a VM as `requestVm` asks for it, and waits until that has succeeded. */
export async function makeVm(vms: TestVms, viewer: Viewer, input: object): Promise<string> {
  const { data, error } = await requestVm(vms, viewer, input);
  if (error) throw new Error(error.message);
  const { vm, operation } = data['createVm'];
  const ended = await vms.ended(operation.id);
  if (ended.state !== 'SUCCEEDED') throw new Error(`The VM could not be made: ${ended.error?.message}`);
  return vm.id;
}

/** Begins a verb: "pauseVm", or "stopVm" with { force: true }. */
export async function beginVerb(vms: TestVms, viewer: Viewer | null, mutation: string, id: string, force?: boolean): Promise<{ operationId: OperationId; error: ErrorRecord | null }> {
  const { data, error } = await vms.ask(
    viewer,
    `mutation ($id: ID!) { done: ${mutation}(id: $id${force === undefined ? '' : `, force: ${force}`}) { vm { id } operation { id } } }`,
    { id },
  );
  return { operationId: data?.['done']?.operation.id, error };
}

/** Does a verb and waits until it has succeeded. */
export async function doVerb(vms: TestVms, viewer: Viewer, mutation: string, id: string, force?: boolean): Promise<void> {
  const { operationId, error } = await beginVerb(vms, viewer, mutation, id, force);
  if (error) throw new Error(`${mutation}: ${error.message}`);
  const ended = await vms.ended(operationId);
  if (ended.state !== 'SUCCEEDED') throw new Error(`${mutation}: ${ended.error?.message}`);
}

/** What was refused, and whether it has changed anything all the same. */
export async function attempt(vms: TestVms, run: () => Promise<{ error: ErrorRecord | null }>): Promise<{ error: ErrorRecord | null; changed: boolean }> {
  const before = await vms.footprint();
  const { error } = await run();
  return { error, changed: JSON.stringify(await vms.footprint()) !== JSON.stringify(before) };
}

/** A host that is there as far as the tables know, for questions that no hypervisor has to answer. */
export async function pretendHost(vms: TestVms, name: string, capacity: { vcpus?: number; memoryMiB?: number; labels?: object; state?: string } = {}): Promise<HostId> {
  const { vcpus = 100, memoryMiB = 100_000, labels = {}, state = 'ONLINE' } = capacity;
  const id = newId<HostId>();
  await vms.sql(
    `INSERT INTO vms.host (id, name, uri, hypervisor_type, state, labels, capacity_vcpus, capacity_memory)
     VALUES ($1, $2, 'qemu+unix:///system?socket=/nowhere/' || $2, 'QEMU', $3::text::vms.host_state, $4, $5, $6::bigint * 1048576)`,
    [id, name, state, labels, vcpus, memoryMiB],
  );
  return id;
}

const FOOTPRINT = `SELECT
  (SELECT json_agg(v ORDER BY v.id) FROM vms.vm v) AS vms,
  (SELECT json_agg(h ORDER BY h.id) FROM (SELECT id, name, allocated_vcpus, allocated_memory FROM vms.host) h) AS hosts,
  (SELECT json_agg(q ORDER BY q.tenant_id) FROM operations.quota q) AS quotas,
  (SELECT count(*) FROM operations.operation) AS operations,
  (SELECT count(*) FROM operations.step) AS steps,
  (SELECT count(*) FROM operations.idempotency_key) AS keys,
  -- of other operations that are under way there may be news at any time; a new one counts above
  (SELECT count(*) FROM operations.outbox WHERE type <> 'operation.changed') AS events`;

const OBSERVED: Readonly<Record<string, string>> = { running: 'RUNNING', paused: 'PAUSED', 'shut off': 'STOPPED', gone: 'MISSING' };

async function nothingLeftBehind(vms: TestVms): Promise<void> {
  const faults: string[] = [];
  const unfinished = await vms.sql(`SELECT kind, state FROM operations.operation WHERE finished_at IS NULL`);
  faults.push(...unfinished.map((row) => `${row['kind']} is ${row['state']}`));
  const steps = await vms.sql(`SELECT name, state FROM operations.step WHERE state IN ('RUNNING', 'UNDOING')`);
  faults.push(...steps.map((row) => `the step ${row['name']} is ${row['state']}`));

  const living = await vms.sql('SELECT vm.*, host.name AS host FROM vms.vm LEFT JOIN vms.host ON host.id = vm.host_id WHERE deleted_at IS NULL');
  for (const vm of living) {
    if (vm['operation_id'] !== null || vm['operation_verb'] !== null || vm['force_stop']) faults.push(`VM ${vm['name']} is still held`);
    const domain = await vms.virshState(vm['id'], vms.hosts.find((host) => host.name === vm['host']));
    const observed = domain === 'shut off' && vm['observed'] === 'CRASHED' ? 'CRASHED' : OBSERVED[domain];
    if (vm['observed'] !== observed) faults.push(`VM ${vm['name']} is ${vm['observed']}, but its domain is ${domain}`);
  }
  for (const host of vms.hosts) {
    const names = (await host.virsh('list', '--all', '--name')).split('\n').filter((name) => name.startsWith(DOMAIN_NAME_PREFIX));
    const known = new Set(living.filter((vm) => vm['host'] === host.name).map((vm) => domainName(vm['id'])));
    faults.push(...names.filter((name) => !known.has(name)).map((name) => `the domain ${name} is nobody's`));
  }
  const claims = await vms.sql(`
    SELECT host.name, allocated_vcpus, allocated_memory, coalesce(sum(vm.vcpus), 0)::int AS vcpus, coalesce(sum(vm.memory), 0)::bigint AS memory
    FROM vms.host LEFT JOIN vms.vm ON vm.host_id = host.id AND vm.deleted_at IS NULL GROUP BY host.id`);
  for (const host of claims) {
    if (host['allocated_vcpus'] !== host['vcpus'] || host['allocated_memory'] !== host['memory']) {
      faults.push(`host ${host['name']} has promised ${host['allocated_vcpus']} vCPUs and ${host['allocated_memory']} bytes, not ${host['vcpus']} and ${host['memory']}`);
    }
  }
  const quotas = await vms.sql(`
    SELECT q.*, count(vm.id) AS vm_count, coalesce(sum(vm.vcpus), 0)::bigint AS vm_vcpus, coalesce(sum(vm.memory), 0)::bigint AS vm_memory
    FROM operations.quota q LEFT JOIN vms.vm ON vm.tenant_id = q.tenant_id AND vm.deleted_at IS NULL GROUP BY q.tenant_id`);
  for (const quota of quotas) {
    const [used, accounted] = [['used_vms', 'used_vcpus', 'used_memory'], ['vm_count', 'vm_vcpus', 'vm_memory']].map((columns) => columns.map((column) => quota[column]).join(', '));
    if (used !== accounted) faults.push(`tenant ${quota['tenant_id']} is charged ${used}, not ${accounted}`);
  }
  if (faults.length > 0) throw new Error(`left behind: ${faults.join('; ')}`);
}
