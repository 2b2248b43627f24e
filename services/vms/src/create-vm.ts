import { checkCloudInit, requireViewer, SEED_BYTES, type CloudInit, type RequestContext, type Viewer } from '@novacron/contracts';
import { DomainError, newId, type HostId, type OperationId, type UserId, type VmId } from '@novacron/core';
import { inTransaction, orTaken } from '@novacron/database';
import { chargeQuota, firstResult, operationOf, submit } from '@novacron/operations';
import { nearestMiss, place, type Decision, type PlacementRequest } from '@novacron/placement';
import type { Accepted } from './change-vm.ts';
import { checkInput, type CheckedInput, type CreateVmInput } from './create-vm-input.ts';
import type { Database, Tx } from './database.ts';
import { Prisma } from './generated/prisma/client.ts';
import { chargeDisks, holdDisks, holdNics, hostsForDisks, hostsForNics, sshKeysOf, type DiskWishes, type HostReasons, type NicWishes, type SealedSeed } from './neighbours.ts';
import { planCreate } from './operations/create.ts';
import { claimHost } from './store/host-claims.ts';
import { hostFacts, type PlaceableHost } from './store/host-facts.ts';
import { insertDevices, insertVm } from './store/vm-life.ts';

export interface StoredPlacement extends Decision {
  decidedAt: string;
}

/** How often a decision is made anew because someone else was faster. */
const TRIES = 8;

/** Where a VM would go now, and why. Nothing is changed. */
export async function planVm(database: Database, viewer: Viewer | null, input: CreateVmInput, bootDirectories: readonly string[]): Promise<StoredPlacement> {
  const checked = checkInput(requireViewer(viewer), input, bootDirectories);
  await requireNamed(database, checked);
  const facts = await fitHosts(database, checked.placement, diskWishes(checked, checked.cloudInit && NO_SEED), nicWishes(checked));
  return { ...place(checked.placement, facts), decidedAt: new Date().toISOString() };
}

/** The host that was asked for must be one; VMs to be near or far from are the tenant's own. NOT_FOUND with the field. */
async function requireNamed(sql: Database | Tx, { tenantId, placement }: CheckedInput): Promise<void> {
  const { hostId, affinity = [], antiAffinity = [] } = placement;
  if (hostId !== undefined && !(await sql.host.findUnique({ where: { id: hostId }, select: { id: true } }))) {
    throw new DomainError('NOT_FOUND', 'There is no host with this id.', { field: 'placement.hostId' });
  }
  const named = [...affinity, ...antiAffinity];
  if (named.length === 0) return;
  const rows = await sql.vm.findMany({ where: { id: { in: named }, tenantId, deletedAt: null }, select: { id: true } });
  const known = new Set(rows.map((vm) => vm.id));
  const missing = named.findIndex((id) => !known.has(id));
  if (missing < 0) return;
  const field = missing < affinity.length ? 'placement.affinity' : 'placement.antiAffinity';
  throw new DomainError('NOT_FOUND', 'The tenant has no VM with this id.', { field });
}

/** What cloud-init is told, with the keys that identity keeps for whoever asks. NOT_FOUND, BAD_USER_INPUT. */
async function withKeptKeys(tx: Tx, userId: UserId, { cloudInit, keptKeys }: CheckedInput): Promise<CloudInit | null> {
  if (cloudInit === null || keptKeys === undefined) return cloudInit;
  const sshKeys = [...new Set([...cloudInit.sshKeys, ...(await sshKeysOf(tx, userId, keptKeys))])];
  return checkCloudInit({ ...cloudInit, sshKeys }); // together they may be too many
}

/** Someone else has taken the room that a decision was about: it must be made anew. */
class RoomTaken extends DomainError {}

/** Stands for a seed where only its size counts. */
const NO_SEED: SealedSeed = { sealed: '', keyId: '', size: SEED_BYTES };

const diskWishes = ({ tenantId, imageId, bootDiskSize, volumes }: CheckedInput, seed: SealedSeed | null): DiskWishes => ({ tenantId, imageId, bootDiskSize, volumes, seed });
const nicWishes = ({ tenantId, networks }: CheckedInput): NicWishes => ({ tenantId, networks });

/** The hosts as of now, with what speaks against them. */
async function fitHosts(sql: Database | Tx, request: PlacementRequest, disks: DiskWishes, nics: NicWishes): Promise<PlaceableHost[]> {
  const [forDisks, forNics] = [await hostsForDisks(sql, disks), await hostsForNics(sql, nics)]; // one after the other: in a transaction they share a connection
  const unfit = (reasons: HostReasons | null, id: string, otherwise: string): string | null => (reasons === null ? null : reasons.has(id) ? (reasons.get(id) ?? null) : otherwise);
  const hosts = await hostFacts(sql, request);
  for (const host of hosts) {
    host.unfit = unfit(forDisks, host.id, 'The host has no pool for its disks.') ?? unfit(forNics, host.id, 'The host does not have its networks.');
  }
  return hosts;
}

/** Decides by the facts of now; NO_CAPACITY names the nearest miss. */
async function choosePlace(tx: Tx, request: PlacementRequest, disks: DiskWishes, nics: NicWishes): Promise<{ decision: Decision; host: PlaceableHost }> {
  const facts = await fitHosts(tx, request, disks, nics);
  const decision = place(request, facts);
  const host = facts.find(({ id }) => id === decision.chosenHostId);
  if (!host) throw new DomainError('NO_CAPACITY', nearestMiss(request, facts));
  return { decision, host };
}

export interface CreateOptions {
  bootDirectories: readonly string[];
  /** Seals what cloud-init is told for the VM: it may hold secrets. */
  sealSeed(vmId: VmId, content: CloudInit): Pick<SealedSeed, 'sealed' | 'keyId'>;
}

/** Makes a VM durable with everything it needs, and the operation that brings it to life. */
export async function createVm(
  database: Database,
  context: RequestContext,
  input: CreateVmInput,
  { bootDirectories, sealSeed }: CreateOptions,
): Promise<Accepted> {
  const viewer = requireViewer(context.viewer);
  const checked = checkInput(viewer, input, bootDirectories);
  const result = { vmId: newId<VmId>(), operationId: newId<OperationId>() };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await inTransaction(database, insert);
    } catch (error) {
      if (error instanceof RoomTaken && attempt < TRIES) continue;
      throw orTaken(error, 'name', `The tenant has a VM named "${checked.name}" already.`);
    }
  }

  async function insert(tx: Tx): Promise<Accepted> {
    const first = await firstResult(tx, context, 'createVm', input.idempotencyKey, checked, result);
    if (first) return { ...first, vm: null, bell: null };
    await requireNamed(tx, checked);
    const cloudInit = await withKeptKeys(tx, viewer.userId, checked);
    const seed = cloudInit && { ...sealSeed(result.vmId, cloudInit), size: SEED_BYTES };
    const [disks, nics] = [diskWishes(checked, seed), nicWishes(checked)];
    const { decision, host } = await choosePlace(tx, checked.placement, disks, nics);
    const placement: StoredPlacement = { ...decision, decidedAt: new Date().toISOString() };
    const vm = await insertVm(tx, {
      id: result.vmId,
      tenantId: checked.tenantId,
      name: checked.name,
      liveName: checked.name,
      desiredState: checked.start ? 'RUNNING' : 'STOPPED',
      vcpus: checked.vcpus,
      memory: BigInt(checked.memory),
      tags: checked.tags,
      kernel: checked.kernel === null ? Prisma.DbNull : { ...checked.kernel },
      hostId: host.id,
      placement: JSON.parse(JSON.stringify(placement)) as Prisma.InputJsonObject, // JSON by its own round trip
      createdBy: viewer.userId,
      operationId: result.operationId,
      operationVerb: 'create',
    });
    const { vmId, operationId } = result;
    const newVm = { ...result, hostId: host.id as HostId, name: vm.name, createdBy: viewer.userId, kernelBoot: checked.kernel !== null }; // brands are added where rows come in
    const devices = [...(await holdDisks(tx, newVm, disks)), ...(await holdNics(tx, newVm, nics))];
    await insertDevices(tx, vmId, devices);
    const hold = { vmId, operationId, verb: 'create', desiredBefore: vm.desiredState } as const;
    const spec = { vmId, tenantId: checked.tenantId, name: vm.name, vcpus: vm.vcpus, memory: checked.memory, kernel: checked.kernel, devices, accelerated: host.accelerated };
    const operation = operationOf(context, { id: operationId, kind: 'vm.create', targetType: 'Vm', targetId: vmId, tenantId: checked.tenantId });
    // Last, since everyone's creations meet in these rows: they stay locked for one commit, not for all of the above.
    await chargeQuota(tx, checked.tenantId, { vms: 1, vcpus: checked.vcpus, memory: checked.memory });
    if (checked.imageId !== null) await chargeDisks(tx, vmId);
    if (!(await claimHost(tx, host.id, vm))) throw new RoomTaken('NO_CAPACITY', `The room on host ${host.name} was taken meanwhile: try again.`);
    return { ...result, vm, bell: await submit(tx, operation, planCreate(vm, hold, spec, checked.start)) };
  }
}
