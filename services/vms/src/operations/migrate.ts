import { vmsSteps } from '@novacron/contracts';
import { DomainError, type HostId } from '@novacron/core';
import { passDoor, type Step } from '@novacron/operations';
import type { Tx } from '../database.ts';
import type { HostDomains } from '../host-context.ts';
import type { Observation } from '../observation.ts';
import { moveVm } from '../store/vm-changes.ts';
import { removeDomain } from './define.ts';

/*
 * What a migration does to a VM itself; the rest of it is services/migration's.
 */

/** libvirt has taken the domain away already, unless it was cut off. One that runs here is no leftover. */
export const cleanSourceStep = (host: HostDomains): Step<Tx, vmsSteps.VmInput, void, void> => ({
  ...vmsSteps.CLEAN_SOURCE,
  async run(_run, input) {
    if ((await host.observe(input.vmId)).observed === 'RUNNING') {
      throw new DomainError('INTERNAL', 'The guest runs on its source, too, after it was migrated: nothing is taken away.', { retryable: true });
    }
    await removeDomain(host, input);
  },
});

/** Whatever libvirt says of the domain here is the truth from now on. */
export const movedStep = (host: HostDomains): Step<Tx, vmsSteps.MovedInput, Observation, void> => ({
  ...vmsSteps.MOVED,
  run: (_run, { vmId }) => host.act(vmId, () => Promise.resolve()),
  async commit(tx, { vmId, migrationId }, seen) {
    await moveVm(tx, vmId, host.agent.host.id satisfies HostId, seen);
    host.onActed(vmId); // what happened since it was seen was said of a VM of another host; whoever looks now waits for this commit
    await passDoor(tx, 'migration.succeed($1::uuid)', migrationId);
  },
});
