import { domainName } from '@novacron/contracts';
import { eventually, type TestHost } from '@novacron/testkit';
import type { Graph, Loose } from '../kit/client.ts';
import { startEmbedded, type Embedded, type EmbeddedOptions } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';
import { haveVm, Operation, type Vm } from '../kit/vm.ts';

export const MIB = 2 ** 20;

const FIELDS = `id state progress mode message copyStorage bandwidthBytesPerSecond memoryTotal memoryTransferred memoryRemaining disksTransferred
  throughputBytesPerSecond iteration autoConverge predictedDurationMs downtimeMs startedAt finishedAt
  error { code message field } vm { id } from { id } to { id } operation { id state }`;

/** Hosts that reach each other, with everything on them that a VM needs. */
export interface Fleet {
  readonly system: Embedded;
  readonly people: People;
  readonly admin: Graph;
  readonly operator: Graph;
  /** Their ids in the graph. */
  readonly hostIds: readonly string[];
  hostOf(id: string): TestHost;
  close(): Promise<void>;
}

export async function startFleet(options: EmbeddedOptions = {}, variables: Record<string, string> = {}): Promise<Fleet> {
  const system = await startEmbedded(variables, { hosts: 2, ...options });
  try {
    const people = await makePeople(system.graph);
    const admin = system.graph.as(people.platformAdmin);
    const hostIds: string[] = [];
    for (const host of system.hosts) hostIds.push(await system.registerHost(admin, host));
    await eventually(
      'pools and the default network on every host',
      async () => {
        const [ready] = await system.sql(
          "SELECT (SELECT count(*)::int FROM storage.pool_host WHERE state = 'READY') AS pools, (SELECT count(*)::int FROM network.network_host WHERE state = 'READY') AS networks",
        );
        if (ready?.['pools'] < hostIds.length || ready?.['networks'] < hostIds.length) throw new Error(JSON.stringify(ready));
        return true;
      },
      { timeoutMs: 30_000 },
    );
    return {
      system,
      people,
      admin,
      operator: system.graph.as(people.operator),
      hostIds,
      hostOf(id) {
        const host = system.hosts[hostIds.indexOf(id)];
        if (!host) throw new Error(`There is no test host ${id}.`);
        return host;
      },
      close: () => system.close(),
    };
  } catch (error) {
    await system.close();
    throw error;
  }
}

/** A migration that was accepted. */
export class Move {
  readonly graph: Graph;
  readonly id: string;
  readonly operation: Operation;

  constructor(graph: Graph, id: string, operationId: string) {
    this.graph = graph;
    this.id = id;
    this.operation = new Operation(graph, operationId);
  }

  async read(): Promise<Loose> {
    return (await this.graph.run(`query ($id: ID!) { migration(id: $id) { ${FIELDS} } }`, { id: this.id }))['migration'];
  }

  /** Waits until it is in one of these states. */
  async becomes(...states: string[]): Promise<Loose> {
    let seen: Loose = {};
    await eventually(
      `the migration to be ${states.join(' or ')}`,
      async () => {
        seen = await this.read();
        if (!states.includes(seen['state'])) throw new Error(JSON.stringify(seen));
        return true;
      },
      { timeoutMs: 30_000, intervalMs: 20 },
    );
    return seen;
  }

  /** Waits for its end. */
  async ends(timeoutMs = 60_000): Promise<Loose> {
    await this.operation.ends(timeoutMs);
    return this.read();
  }

  async cancel(): Promise<Loose> {
    return (await this.graph.run(`mutation ($id: ID!) { cancelMigration(id: $id) { migration { ${FIELDS} } } }`, { id: this.id }))['cancelMigration'].migration;
  }
}

const MIGRATE = `mutation ($input: MigrateVmInput!) { migrateVm(input: $input) { migration { ${FIELDS} } operation { id } } }`;

/** Accepts a migration. */
export async function migrate(graph: Graph, input: Loose): Promise<Move> {
  const { migrateVm } = await graph.run(MIGRATE, { input });
  return new Move(graph, migrateVm.migration.id, migrateVm.operation.id);
}

/** Asks for a migration that is refused: code and field. */
export async function refused(graph: Graph, input: Loose): Promise<{ code: string; field: string | undefined; message: string }> {
  const { message, extensions } = await graph.refused(MIGRATE, { input });
  return { code: extensions.code, field: extensions['field'] as string | undefined, message };
}

/** A VM without disks, on a host. */
export const haveVmOn = ({ operator, system }: Fleet, hostId: string | undefined, more: Loose = {}): Promise<Vm> =>
  haveVm(operator, system.guest, { networks: [], placement: { hostId }, ...more });

/** What a host shows of a VM: libvirt's word for its state; null: no domain. */
export async function domainState(host: TestHost, vm: Vm): Promise<string | null> {
  try {
    return (await host.virsh('domstate', domainName(vm.id))).trim();
  } catch (error) {
    if (/Domain not found|failed to get domain/i.test(String(error))) return null;
    throw error;
  }
}

/** The one copy: running (or as told) on this host and defined on no other, and the graph says so. */
export async function isOnlyOn(fleet: Fleet, vm: Vm, hostId: string | undefined, state = 'RUNNING'): Promise<void> {
  const libvirt = { RUNNING: 'running', PAUSED: 'paused', STOPPED: 'shut off' }[state];
  await eventually(`${vm.name} to be ${state} on its host, and nowhere else`, async () => {
    const found = await vm.read('state host { id }');
    const states = await Promise.all(fleet.hostIds.map(async (id) => [id, await domainState(fleet.hostOf(id), vm)] as const));
    const expected = fleet.hostIds.map((id) => [id, id === hostId ? libvirt : null]);
    if (found['state'] !== state || found['host'].id !== hostId || JSON.stringify(states) !== JSON.stringify(expected)) throw new Error(JSON.stringify({ found, states }));
    return true;
  }, { timeoutMs: 20_000 });
}

/** Each host has promised what its VMs have, and nothing else; no VM is held, no migration under way. */
export async function claimsAddUp({ system: { sql } }: Fleet): Promise<void> {
  await eventually('claims to add up', async () => {
    const wrong = await sql(`
      SELECT h.name, h.allocated_memory, (SELECT coalesce(sum(v.memory), 0) FROM vms.vm v WHERE v.host_id = h.id AND v.deleted_at IS NULL) AS memory
      FROM vms.host h WHERE h.allocated_memory <> (SELECT coalesce(sum(v.memory), 0) FROM vms.vm v WHERE v.host_id = h.id AND v.deleted_at IS NULL)`);
    const held = await sql('SELECT name, operation_verb, migration_host_id FROM vms.vm WHERE deleted_at IS NULL AND (operation_id IS NOT NULL OR migration_host_id IS NOT NULL)');
    const open = await sql('SELECT id, state FROM migration.migration WHERE finished_at IS NULL');
    if (wrong.length + held.length + open.length > 0) throw new Error(JSON.stringify({ wrong, held, open }));
    return true;
  });
}
