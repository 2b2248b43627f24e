import type { HostAgent } from '@novacron/agent';
import { domainName } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { LibvirtError, type Connection } from '@novacron/libvirt';
import { GaveUp, type Step } from '@novacron/operations';
import type { Database, Tx } from '../database.ts';
import { supportsCpuMode, type DomainNeeds } from '../domain-needs.ts';
import { readDomain, removeIncoming } from '../guest.ts';
import { readTarget } from '../outcome.ts';
import { changeMigration, findMigration } from '../store.ts';
import type { Arrivals } from '../watch-arrivals.ts';
import { CHECK_TARGET, type MigrationInput } from './declarations.ts';

const refuse = (message: string, cause?: unknown): never => {
  throw new GaveUp('INVALID_STATE', message, { field: 'hostId', cause });
};

const isRefusal = (error: unknown): error is LibvirtError => error instanceof LibvirtError;

/** Looks, and changes nothing: has this host what the domain needs? Its undo removes what waits for a guest that does not come. */
export const checkTargetStep = (agent: HostAgent, database: Database, arrivals: Arrivals): Step<Tx, MigrationInput, void, void> => ({
  ...CHECK_TARGET,
  async run(_run, { migrationId, vmId }) {
    const migration = await findMigration(database, migrationId);
    if (!migration?.needs) throw new DomainError('INTERNAL', 'The migration has no row, or was not checked on the source.');
    const needs = migration.needs as unknown as DomainNeeds; // written by check-source
    const connection = await agent.connection();
    const name = agent.host.name;
    if (await readDomain(connection, vmId)) refuse(`Host "${name}" has a domain of this VM already: it must be removed there first.`);
    const named = await connection.domains.lookupByName(domainName(vmId)).catch((error: unknown) => {
      if (error instanceof LibvirtError && error.is('NO_DOMAIN')) return null;
      throw error;
    });
    if (named) refuse(`Host "${name}" has another domain of this VM's name.`);
    await checkMachine(connection, name, needs);
    await checkPools(connection, name, needs);
  },
  commit: async (tx, { migrationId, vmId }) => {
    await changeMigration(tx, migrationId, { state: 'PREPARING' });
    arrivals.expect(vmId);
  },
  async undo(_run, { migrationId, vmId }) {
    if (!(await findMigration(database, migrationId))?.touched) return; // whatever is there is not the migration's
    const connection = await agent.connection();
    if (!(await removeIncoming(connection, vmId))) throw new DomainError('UNAVAILABLE', 'What waits for the guest is not gone yet.');
    const left = await readDomain(connection, vmId);
    if (left && readTarget(left.state) === 'ARRIVED') throw new DomainError('INTERNAL', 'The VM was said to have stayed, and is on the target.');
  },
});

async function checkMachine(connection: Connection, name: string, { virtType, arch, machine, emulator, cpu, hypervisorVersion }: DomainNeeds): Promise<void> {
  const query = { virtType, arch, machine, ...(emulator === null ? {} : { emulator }) };
  const capabilities = await connection.domainCapabilities(query).catch((error: unknown) => {
    if (!isRefusal(error)) throw error;
    return refuse(`Host "${name}" has no machine type ${machine} (${arch}, ${virtType}).`, error);
  });
  if (cpu.xml !== null) {
    const comparison = await connection.compareHypervisorCpu({ ...query, xml: cpu.xml }).catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
      return refuse(`Host "${name}" can't tell whether it has the CPU that the guest uses.`, error);
    });
    if (comparison === 'incompatible') refuse(`The CPU of host "${name}" lacks what the guest uses.`);
    return;
  }
  if (cpu.mode === null) return;
  if (!supportsCpuMode(capabilities, cpu.mode)) refuse(`Host "${name}" can't give a guest the CPU mode ${cpu.mode}.`);
  const { major, minor, release } = await connection.version();
  if (major * 1_000_000 + minor * 1_000 + release !== hypervisorVersion) {
    refuse(`Host "${name}" has another version of the hypervisor, and the guest uses all that its own has (CPU mode ${cpu.mode}).`);
  }
}

async function checkPools(connection: Connection, name: string, { pools }: DomainNeeds): Promise<void> {
  for (const pool of pools) {
    const isActive = await connection.pools
      .lookupByName(pool)
      .then((ref) => connection.pools.isActive(ref))
      .catch((error: unknown) => {
        if (error instanceof LibvirtError && error.is('NO_STORAGE_POOL')) return false;
        throw error;
      });
    if (!isActive) refuse(`Host "${name}" has no active storage pool ${pool}.`);
  }
}
