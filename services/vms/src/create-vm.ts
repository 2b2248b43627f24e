import { createHash } from 'node:crypto';
import { requirePermission, requireViewer, seesTenant, type RequestContext, type Viewer } from '@novacron/contracts';
import { DomainError, isId, newId, type HostId, type OperationId, type TenantId, type VmId } from '@novacron/core';
import { chargeQuota, claimIdempotencyKey, submit } from '@novacron/operations';
import { nearestMiss, place, STRATEGIES, type Decision, type PlacementRequest, type Strategy } from '@novacron/placement';
import type { Accepted } from './change-vm.ts';
import { checkBootPath, type KernelBoot } from './boot-files.ts';
import { checkCloudInit, SEED_BYTES, type CloudInit, type CloudInitInput } from './cloud-init.ts';
import type { Database, Tx } from './database.ts';
import { Prisma } from './generated/prisma/client.ts';
import { holdDisks, holdNics, hostsForDisks, hostsForNics, type DiskWishes, type HostReasons, type NicWishes, type SealedSeed } from './neighbours.ts';
import { planCreate } from './operations/create.ts';
import { checkCmdline, checkIdempotencyKey, checkLabel, checkMemory, checkName, checkTags, checkVcpus } from './rules.ts';
import { claimHost } from './store/host-claims.ts';
import { hostFacts, type PlaceableHost } from './store/host-facts.ts';
import { insertDevices, insertVm } from './store/vm-life.ts';

/** What a client may send; see CreateVmInput in the schema. */
export interface CreateVmInput {
  name: string;
  vcpus?: number | null | undefined;
  memory?: number | null | undefined;
  imageId?: string | null | undefined;
  bootDiskSize?: number | null | undefined;
  volumes?: readonly string[] | null | undefined;
  networks?: readonly string[] | null | undefined;
  cloudInit?: CloudInitInput | null | undefined;
  kernel?: { kernel: string; initrd?: string | null | undefined; cmdline?: string | null | undefined } | null | undefined;
  tags?: readonly string[] | null | undefined;
  placement?:
    | {
        hostId?: string | null | undefined;
        strategy?: string | null | undefined;
        affinity?: readonly string[] | null | undefined;
        antiAffinity?: readonly string[] | null | undefined;
        requireLabels?: unknown;
      }
    | null
    | undefined;
  start?: boolean | null | undefined;
  tenantId?: string | null | undefined;
  idempotencyKey?: string | null | undefined;
}

export interface StoredPlacement extends Decision {
  decidedAt: string;
}

interface CheckedInput {
  name: string;
  vcpus: number;
  memory: number;
  tags: string[];
  kernel: KernelBoot | null;
  imageId: string | null;
  bootDiskSize: number | null;
  volumes: string[];
  /** null: the tenant's default. */
  networks: string[] | null;
  cloudInit: CloudInit | null;
  start: boolean;
  tenantId: TenantId;
  placement: PlacementRequest;
}

const DEFAULTS = { vcpus: 1, memory: 512 * 2 ** 20 } as const;
const MIB = 2 ** 20;
/** What a VM has of each, at most: more is more than a guest finds places for. */
const MOST = { volumes: 16, networks: 8 } as const;
/** How often a decision is made anew because someone else was faster. */
const TRIES = 8;

/** An id of the input, or NOT_FOUND with its field. */
function idOf(value: string, what: string, field: string): string {
  if (!isId(value)) throw new DomainError('NOT_FOUND', `There is no ${what} with this id.`, { field });
  return value.toLowerCase();
}

/** The tenant that a new VM is for: the one named, else the viewer's only one. */
function tenantFor(viewer: Viewer, tenantId: string | null | undefined): TenantId {
  if (tenantId != null) {
    const id = idOf(tenantId, 'tenant', 'tenantId') as TenantId; // a brand exists only for the compiler
    if (!seesTenant(viewer, id)) throw new DomainError('NOT_FOUND', 'There is no tenant with this id.', { field: 'tenantId' });
    return id;
  }
  const [only, ...others] = new Set(viewer.roles.map((held) => held.tenantId));
  if (only === undefined) throw new DomainError('FORBIDDEN', 'You are in no tenant.');
  if (others.length > 0) throw new DomainError('BAD_USER_INPUT', 'You are in several tenants: say which one the VM is for.', { field: 'tenantId' });
  return only;
}

function checkPlacement(input: CreateVmInput, vcpus: number, memory: number): PlacementRequest {
  const { hostId, strategy, affinity, antiAffinity, requireLabels } = input.placement ?? {};
  const wanted = (strategy ?? 'SPREAD').toUpperCase();
  const known = STRATEGIES.find((one) => one === wanted) satisfies Strategy | undefined;
  if (!known) throw new DomainError('BAD_USER_INPUT', `A strategy is one of ${STRATEGIES.join(', ')}.`, { field: 'placement.strategy' });
  const isObject = typeof requireLabels === 'object' && requireLabels !== null && !Array.isArray(requireLabels);
  if (requireLabels != null && !isObject) {
    throw new DomainError('BAD_USER_INPUT', 'Labels are an object: { "zone": "a" }.', { field: 'placement.requireLabels' });
  }
  for (const [key, value] of Object.entries(requireLabels ?? {})) checkLabel(key, value, 'placement.requireLabels');
  return {
    vcpus,
    memory,
    strategy: known,
    hostId: hostId == null ? undefined : idOf(hostId, 'host', 'placement.hostId'),
    affinity: affinity?.map((id) => idOf(id, 'VM', 'placement.affinity')),
    antiAffinity: antiAffinity?.map((id) => idOf(id, 'VM', 'placement.antiAffinity')),
    requireLabels: isObject ? (requireLabels as Record<string, unknown>) : undefined, // just checked to be an object
  };
}

function idsOf(values: readonly string[], what: string, field: string, most: number): string[] {
  if (values.length > most) throw new DomainError('BAD_USER_INPUT', `A VM has at most ${most} of these.`, { field });
  return values.map((value) => idOf(value, what, field));
}

function checkBoot({ kernel: boot, imageId, volumes }: CreateVmInput, bootDirectories: readonly string[]): KernelBoot | null {
  if (boot == null) {
    if (imageId != null || (volumes != null && volumes.length > 0)) return null;
    throw new DomainError('BAD_USER_INPUT', 'A VM needs something to boot: give it an image, a volume or a kernel.', { field: 'kernel' });
  }
  const { kernel, initrd, cmdline } = boot;
  return {
    kernel: checkBootPath(kernel, 'kernel.kernel', bootDirectories),
    initrd: initrd == null ? null : checkBootPath(initrd, 'kernel.initrd', bootDirectories),
    cmdline: cmdline == null ? null : checkCmdline(cmdline),
  };
}

function checkDisks({ imageId, bootDiskSize, volumes }: CreateVmInput): Pick<CheckedInput, 'imageId' | 'bootDiskSize' | 'volumes'> {
  if (bootDiskSize != null && imageId == null) {
    throw new DomainError('BAD_USER_INPUT', 'Only a boot disk that is made from an image can be given a size.', { field: 'bootDiskSize' });
  }
  if (bootDiskSize != null && (bootDiskSize <= 0 || bootDiskSize % MIB !== 0)) {
    throw new DomainError('BAD_USER_INPUT', 'A disk comes in whole MiB.', { field: 'bootDiskSize' });
  }
  const ids = idsOf(volumes ?? [], 'volume', 'volumes', MOST.volumes);
  if (new Set(ids).size < ids.length) throw new DomainError('BAD_USER_INPUT', 'A volume is attached once.', { field: 'volumes' });
  return { imageId: imageId == null ? null : idOf(imageId, 'image', 'imageId'), bootDiskSize: bootDiskSize ?? null, volumes: ids };
}

/** What was sent, checked and completed. BAD_USER_INPUT with the field at fault. */
export function checkInput(viewer: Viewer, input: CreateVmInput, bootDirectories: readonly string[]): CheckedInput {
  const tenantId = tenantFor(viewer, input.tenantId);
  requirePermission(viewer, 'vm:create', tenantId);
  const name = checkName(input.name);
  const vcpus = checkVcpus(input.vcpus ?? DEFAULTS.vcpus);
  const memory = checkMemory(input.memory ?? DEFAULTS.memory);
  return {
    name,
    vcpus,
    memory,
    tags: checkTags(input.tags ?? []),
    kernel: checkBoot(input, bootDirectories),
    ...checkDisks(input),
    networks: input.networks == null ? null : idsOf(input.networks, 'network', 'networks', MOST.networks),
    cloudInit: input.cloudInit == null ? null : checkCloudInit(input.cloudInit, name),
    start: input.start ?? true,
    tenantId,
    placement: checkPlacement(input, vcpus, memory),
  };
}

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
  return (await hostFacts(sql, request)).map((host) => ({
    ...host,
    unfit: unfit(forDisks, host.id, 'The host has no pool for its disks.') ?? unfit(forNics, host.id, 'The host does not have its networks.'),
  }));
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
  { viewer, requestId }: RequestContext,
  input: CreateVmInput,
  { bootDirectories, sealSeed }: CreateOptions,
): Promise<Accepted> {
  const { userId } = requireViewer(viewer);
  const checked = checkInput(requireViewer(viewer), input, bootDirectories);
  if (input.idempotencyKey != null) checkIdempotencyKey(input.idempotencyKey);
  const result = { vmId: newId<VmId>(), operationId: newId<OperationId>() };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await database.$transaction(insert);
    } catch (error) {
      if (error instanceof RoomTaken && attempt < TRIES) continue;
      const taken = error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
      throw taken ? new DomainError('ALREADY_EXISTS', `The tenant has a VM named "${checked.name}" already.`, { field: 'name', cause: error }) : error;
    }
  }

  async function insert(tx: Tx): Promise<Accepted> {
    if (input.idempotencyKey != null) {
      const inputHash = createHash('sha256').update(JSON.stringify(checked)).digest('hex');
      const first = await claimIdempotencyKey(tx, { userId, mutation: 'createVm', key: input.idempotencyKey, inputHash }, result);
      if (first) return { ...first, vm: null, bell: null };
    }
    await requireNamed(tx, checked);
    const seed = checked.cloudInit && { ...sealSeed(result.vmId, checked.cloudInit), size: SEED_BYTES };
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
      createdBy: userId,
      operationId: result.operationId,
      operationVerb: 'create',
    });
    const { vmId, operationId } = result;
    const newVm = { ...result, hostId: host.id as HostId, name: vm.name }; // brands are added where rows come in
    const devices = [...(await holdDisks(tx, newVm, disks)), ...(await holdNics(tx, newVm, nics))];
    await insertDevices(tx, vmId, devices);
    const hold = { vmId, operationId, verb: 'create', desiredBefore: vm.desiredState } as const;
    const spec = { vmId, tenantId: checked.tenantId, name: vm.name, vcpus: vm.vcpus, memory: checked.memory, kernel: checked.kernel, devices, accelerated: host.accelerated };
    const bell = await submit(
      tx,
      { id: operationId, kind: 'vm.create', targetType: 'Vm', targetId: vmId, tenantId: checked.tenantId, requestedBy: userId, requestId },
      planCreate(vm, hold, spec, checked.start),
    );
    // Last, since everyone's creations meet in these two rows: they stay locked for one commit, not for all of the above.
    await chargeQuota(tx, checked.tenantId, { vms: 1, vcpus: checked.vcpus, memory: checked.memory });
    if (!(await claimHost(tx, host.id, vm))) throw new RoomTaken('NO_CAPACITY', `The room on host ${host.name} was taken meanwhile: try again.`);
    return { ...result, vm, bell };
  }
}
