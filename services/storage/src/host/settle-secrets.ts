import { fromLibvirt, type HostAgent } from '@novacron/agent';
import type { Connection } from '@novacron/libvirt';
import type { Logger } from 'pino';
import type { PoolRow, VolumeRow } from '../database.ts';
import type { WorkerContext } from '../worker-context.ts';
import { nullIf, pathOf, placeOf } from './host-storage.ts';
import { lockAgain, unlock } from './volume-secrets.ts';

/** Is a volume's secret to be on the host? UNDECIDED: an operation is under way whose steps see to it. */
type Wanted = 'YES' | 'NO' | 'UNDECIDED';

interface VmOfVolume {
  id: string;
  host_id: string | null;
  operation_verb: string | null;
}

/**
 * Brings what a host's libvirt knows of our volumes' secrets to the rows: those of the VMs here are there, and no other's. Steps
 * see to it themselves; but libvirt forgets secrets whenever it ends, and what is given to it again while a VM is just leaving
 * may come after the step that took it away.
 *
 * @returns false while operations are under way that may change it: then it is to be looked at again
 */
export async function settleSecrets({ database, secrets }: WorkerContext, agent: HostAgent, connection: Connection, logger: Logger): Promise<boolean> {
  const hostId: string = agent.host.id;
  const known = (await connection.secrets.list().catch(nullIf('NO_SUPPORT'))) ?? []; // libvirt's test driver has none
  const vmsHere = await database.$queryRaw<VmOfVolume[]>`SELECT id, host_id, operation_verb FROM vms.vms_on(${hostId}::uuid)`;
  const volumes = await database.volume.findMany({
    where: { OR: [{ vmId: { in: vmsHere.map(({ id }) => id) } }, { secretId: { in: known.map(({ uuid }) => uuid) } }], NOT: { secretId: null } },
    include: { pool: true },
  });
  let isSettled = true;
  for (const volume of volumes) {
    try {
      isSettled = (await settle(volume)) && isSettled;
    } catch (error) {
      logger.warn({ err: fromLibvirt(error), volumeId: volume.id }, 'what opens an encrypted volume could not be brought to what it should be');
    }
  }
  return isSettled;

  async function settle({ id, secretId }: VolumeRow): Promise<boolean> {
    if (secretId === null) return true;
    const { volume, wanted, isHeld } = await look(id);
    if (wanted === 'YES' && volume) {
      await unlock(connection, secrets, { secretId, path: pathOf(placeOf(volume)), volume });
      if ((await look(id)).wanted === 'NO') await lockAgain(connection, secretId);
    } else if (wanted === 'NO') {
      await lockAgain(connection, secretId);
      const again = await look(id);
      if (again.wanted !== 'NO' && again.volume) await unlock(connection, secrets, { secretId, path: pathOf(placeOf(again.volume)), volume: again.volume }); // it has just come
    }
    return !isHeld;
  }

  async function look(id: string): Promise<{ volume: (VolumeRow & { pool: PoolRow }) | null; wanted: Wanted; isHeld: boolean }> {
    const volume = await database.volume.findUnique({ where: { id }, include: { pool: true } });
    const [vm] = volume === null || volume.vmId === null ? [] : await database.$queryRaw<VmOfVolume[]>`SELECT id, host_id, operation_verb FROM vms.vm_facts(ARRAY[${volume.vmId}::uuid])`;
    const isHeld = (volume?.operationId ?? vm?.operation_verb ?? null) !== null;
    const isHere = vm?.host_id === hostId && vm.operation_verb !== 'migrate';
    return { volume, wanted: isHere ? 'YES' : isHeld ? 'UNDECIDED' : 'NO', isHeld };
  }
}
