import { networkSteps } from '@novacron/contracts';
import { DomainError, type VmId } from '@novacron/core';
import type { Step } from '@novacron/operations';
import type { Database, Tx } from '../database.ts';
import { migrationRefusal } from '../doors.ts';
import type { HostNetworks } from '../host/host-networks.ts';

type MigrationStep = Step<Tx, { vmId: VmId }, true | void, void>;

const nicsOfVm = (database: Database, vmId: VmId) => database.nic.findMany({ where: { vmId }, select: { id: true, networkId: true } });

/** While a VM moves, its NICs are on both hosts: filters, addresses and networks have the same names on each. */
export const migrationSteps = (networks: HostNetworks, database: Database): MigrationStep[] => [
  {
    ...networkSteps.MIGRATE_IN,
    async run(run, { vmId }) {
      const hostId = networks.agent.host.id;
      const reason = await migrationRefusal(database, vmId, hostId);
      if (reason !== null) throw new DomainError('INVALID_STATE', `The VM's networks can't be on host "${networks.agent.host.name}". ${reason}`, { field: 'hostId' });
      await run.begin();
      await database.nic.updateMany({ where: { vmId, NOT: { hostId } }, data: { migrationHostId: hostId } });
      await networks.bringUp({ vmId });
      return true; // recorded: what has an output has something to undo
    },
    async undo({ claim }, { vmId }) {
      if (claim.output === null) return;
      await database.nic.updateMany({ where: { vmId, migrationHostId: networks.agent.host.id }, data: { migrationHostId: null } });
      await networks.takeDown(await nicsOfVm(database, vmId));
    },
  },
  {
    ...networkSteps.MIGRATE_OUT,
    async run(run, { vmId }) {
      await run.begin();
      await database.$executeRaw`
        UPDATE nic SET host_id = migration_host_id, migration_host_id = NULL
        WHERE vm_id = ${vmId}::uuid AND host_id = ${networks.agent.host.id}::uuid AND migration_host_id IS NOT NULL`;
      await networks.takeDown(await nicsOfVm(database, vmId));
    },
  },
];
