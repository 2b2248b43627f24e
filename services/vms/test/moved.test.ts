import { domainName, vmsSteps } from '@novacron/contracts';
import { newId, type MigrationId, type OperationId, type VmId } from '@novacron/core';
import { plan, submit } from '@novacron/operations';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../src/database.ts';
import { doVerb, makeVm, pretendHost, startVms, viewerWith, type AnyStep, type TestVms } from './vms.ts';

/** Much less than until everything is read again. */
const AT_ONCE_MS = 3_000;

let vms: TestVms;
/** What happens between the last look at a VM that has been migrated here and the commit that makes it this host's. */
let beforeCommit = (): Promise<unknown> => Promise.resolve();

const disturb = (step: AnyStep): AnyStep =>
  step.name !== vmsSteps.MOVED.name
    ? step
    : {
        ...step,
        async run(run, input) {
          const seen = await step.run(run, input);
          await beforeCommit();
          return seen;
        },
      };

beforeAll(async () => {
  vms = await startVms({ disturb });
});
afterAll(() => vms?.close());

const isSeen = (vmId: string, state: string) =>
  eventually(`VM ${vmId} to be ${state}`, async () => {
    const row = await vms.row(vmId);
    if (row['state'] !== state) throw new Error(`it is ${row['state']}`);
    return row;
  }, { timeoutMs: AT_ONCE_MS });

it('what happens to a VM just before it is its new host\'s is seen at once', async () => {
  const operator = viewerWith(['operator', await vms.tenant()]);
  const [moved, bystander] = [(await makeVm(vms, operator, { name: 'moved', start: true })) as VmId, await makeVm(vms, operator, { name: 'bystander', start: true })];
  const { vcpus, memory, host_id: hostId } = await vms.row(moved);
  const virsh = (verb: string, vmId: string) => vms.hosts[0]?.virsh(verb, domainName(vmId));
  beforeCommit = async () => {
    await virsh('destroy', moved);
    await virsh('suspend', bystander); // told after the other
    await isSeen(bystander, 'PAUSED');
  };

  // as a migration from elsewhere leaves them for its last step
  const source = await pretendHost(vms, 'source');
  const [operationId, migrationId] = [newId<OperationId>(), newId<MigrationId>()];
  await vms.sql('UPDATE vms.host SET allocated_vcpus = $2, allocated_memory = $3 WHERE id = $1', [source, vcpus, memory]);
  await vms.sql("UPDATE vms.vm SET host_id = $2, migration_host_id = $3, operation_id = $4, operation_verb = 'migrate', state = 'MIGRATING' WHERE id = $1", [moved, source, hostId, operationId]);
  const database = openDatabase(vms.databaseUrl);
  const operation = { id: operationId, kind: 'vm.migrate', targetType: 'Vm', targetId: moved, tenantId: null, requestedBy: null, requestId: null };
  await submit(database, operation, [plan(vmsSteps.MOVED, { vmId: moved, hostId, migrationId }, { hostId })]);
  await database.$disconnect();

  expect(await vms.ended(operationId)).toMatchObject({ state: 'SUCCEEDED' });
  expect(await isSeen(moved, 'STOPPED')).toMatchObject({ host_id: hostId });
  for (const vmId of [moved, bystander]) await doVerb(vms, operator, 'deleteVm', vmId);
  await vms.nothingLeftBehind();
});
