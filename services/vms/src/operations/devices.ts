import { setTimeout as delay } from 'node:timers/promises';
import { vmsSteps, type DiskDevice } from '@novacron/contracts';
import type { VmId } from '@novacron/core';
import { AFFECT, type Connection, type DomainRef } from '@novacron/libvirt';
import { GaveUp, type Step, type StepRun } from '@novacron/operations';
import type { Tx } from '../database.ts';
import { aliasOf, deviceXml } from '../device-xml.ts';
import { unlessGone, type HostDomains } from '../host-context.ts';
import type { Observation } from '../observation.ts';
import { recordStepObservation } from '../store/vm-changes.ts';
import { devicesOf, insertDevices } from '../store/vm-life.ts';
import { requireDomain } from './steps.ts';

/*
 * A domain's devices, for the services that own them. Live where the guest runs; its definition is written afresh from our
 * record at the next start, so of a domain that is off nothing has to be changed.
 */

/** How long a guest is asked to let go of a device, and how often: one that is booting does not hear it. */
const LET_GO_MS = 60_000;
const ASK_EVERY_MS = 5_000;
const LOOK_EVERY_MS = 100;

const isOn = async (connection: Connection, domain: DomainRef): Promise<boolean> => (await connection.domains.state(domain)).state !== 'shutoff';

const hasDevice = async (connection: Connection, domain: DomainRef, deviceId: string): Promise<boolean> => {
  const xml = await connection.domains.xml(domain);
  return [`name='${aliasOf(deviceId)}'`, `name="${aliasOf(deviceId)}"`].some((alias) => xml.includes(alias));
};

/** Asks the guest to let go, again and again until it has. */
async function unplug(host: HostDomains, vmId: VmId, deviceId: string, run: StepRun): Promise<void> {
  const startedAt = performance.now();
  let askedAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const found = await host.find(vmId);
    if (!found || !(await isOn(found.connection, found.domain)) || !(await hasDevice(found.connection, found.domain, deviceId))) return;
    if (performance.now() - startedAt > LET_GO_MS) {
      throw new GaveUp('UNAVAILABLE', `The guest did not let go of the device within ${LET_GO_MS / 1_000} seconds. Unmount what uses it and try again, or stop the VM.`);
    }
    if (performance.now() - askedAt >= ASK_EVERY_MS) {
      askedAt = performance.now();
      // refused while an earlier request is pending: whether it is gone is what counts
      await found.connection.domains.detachDeviceAlias(found.domain, aliasOf(deviceId), AFFECT.LIVE).catch(() => undefined);
    }
    run.signal.throwIfAborted();
    await delay(LOOK_EVERY_MS);
  }
}

export const attachDeviceStep = (host: HostDomains): Step<Tx, vmsSteps.DeviceInput, Observation, Observation | void> => ({
  ...vmsSteps.ATTACH_DEVICE,
  run: (run, { vmId, device }) =>
    host.act(vmId, async () => {
      const { connection, domain } = await requireDomain(host, vmId);
      if (!(await isOn(connection, domain)) || (await hasDevice(connection, domain, device.id))) return;
      await run.begin();
      await connection.domains.attachDevice(domain, deviceXml(device), AFFECT.LIVE);
    }),
  async commit(tx, { vmId, device }, seen) {
    const place = await tx.vmDevice.aggregate({ where: { vmId }, _max: { place: true } });
    await insertDevices(tx, vmId, [device], (place._max.place ?? -1) + 1);
    await recordStepObservation(tx, vmId, seen, true, true);
  },
  undo: (run, { vmId, device }) => host.act(vmId, () => (run.claim.output === null ? Promise.resolve() : unplug(host, vmId, device.id, run))),
  commitUndo: (tx, { vmId }, seen) => (seen ? recordStepObservation(tx, vmId, seen, false) : Promise.resolve()),
});

export const detachDeviceStep = (host: HostDomains): Step<Tx, vmsSteps.VmInput & { deviceId: string }, Observation, void> => ({
  ...vmsSteps.DETACH_DEVICE,
  run: (run, { vmId, deviceId }) => host.act(vmId, () => unplug(host, vmId, deviceId, run)),
  async commit(tx, { vmId, deviceId }, seen) {
    await tx.vmDevice.deleteMany({ where: { id: deviceId, vmId } });
    await recordStepObservation(tx, vmId, seen, true, true);
  },
});

/** A guest that runs learns the size through QEMU, which also grows the volume. Growing to a size that it has changes nothing. */
export const resizeDiskStep = (host: HostDomains, diskOf: (vmId: VmId, deviceId: string) => Promise<DiskDevice>): Step<Tx, vmsSteps.VmInput & { deviceId: string; size: number }, Observation, void> => ({
  ...vmsSteps.RESIZE_DISK,
  run: (run, { vmId, deviceId, size }) =>
    host.act(vmId, async () => {
      const { connection, domain } = await requireDomain(host, vmId);
      if (!(await isOn(connection, domain))) return; // it went off meanwhile: what holds its volume grows it
      const { target } = await diskOf(vmId, deviceId);
      if ((await connection.domains.blockInfo(domain, target)).capacity >= size) return;
      await run.begin();
      await connection.domains.blockResize(domain, target, size).catch(unlessGone);
    }),
  commit: (tx, { vmId }, seen) => recordStepObservation(tx, vmId, seen, true, true),
});

/** The disk as its VM's domain has it. */
export const diskOfDevices =
  (sql: Parameters<typeof devicesOf>[0]) =>
  async (vmId: VmId, deviceId: string): Promise<DiskDevice> => {
    const device = (await devicesOf(sql, vmId)).find(({ id }) => id === deviceId);
    if (device?.kind !== 'disk') throw new GaveUp('NOT_FOUND', 'The VM has no such disk.');
    return device;
  };
