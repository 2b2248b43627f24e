import type { HostAgent } from '@novacron/agent';
import { DomainError } from '@novacron/core';
import { XML } from '@novacron/libvirt';
import { GaveUp, type Step } from '@novacron/operations';
import type { Database, Tx } from '../database.ts';
import { blockersOf, needsOf, type DomainNeeds } from '../domain-needs.ts';
import { readDomain } from '../guest.ts';
import { readSource } from '../outcome.ts';
import { changeMigration, writeMigration } from '../store.ts';
import { CHECK_SOURCE, type MigrationInput } from './declarations.ts';

const refuse = (message: string): never => {
  throw new GaveUp('INVALID_STATE', message, { field: 'vmId' });
};

/** Looks, and changes nothing: can the VM's domain leave this host, and what does it need of the next? */
export const checkSourceStep = (agent: HostAgent, database: Database): Step<Tx, MigrationInput, DomainNeeds, void> => ({
  ...CHECK_SOURCE,
  async run(_run, { migrationId, vmId }) {
    const connection = await agent.connection();
    const [migration, found] = await Promise.all([
      writeMigration(database, migrationId, { state: 'CHECKING', startedAt: new Date() }),
      readDomain(connection, vmId),
    ]);
    if (!migration) throw new DomainError('INTERNAL', 'The migration is over, or has no row.');
    if (found === null) return refuse('The VM has no domain on its host: it was removed there, not through NovaCron.');
    if (readSource(found.state, false, migration.mode) !== 'HERE') {
      return refuse(migration.mode === 'LIVE' ? 'The VM does not run any more.' : 'The VM is not off any more.');
    }
    const isActive = !['shutoff', 'crashed'].includes(found.state.state);
    if (migration.mode === 'OFFLINE' && isActive) return refuse('The VM is not off any more.');
    const [xml, snapshots, { major, minor, release }] = await Promise.all([
      connection.domains.xml(found.domain, isActive ? XML.MIGRATABLE : XML.INACTIVE),
      connection.domains.snapshotNames(found.domain),
      connection.version(),
    ]);
    if (snapshots.length > 0) refuse(`The VM has ${snapshots.length} snapshots in libvirt, which can't leave its host.`);
    const blocker = blockersOf(xml)[0];
    if (blocker !== undefined) refuse(blocker);
    return needsOf(xml, major * 1_000_000 + minor * 1_000 + release);
  },
  commit: async (tx, { migrationId }, needs) => {
    await changeMigration(tx, migrationId, { needs: { ...needs, cpu: { ...needs.cpu } } });
  },
});
