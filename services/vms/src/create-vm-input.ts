import { checkCloudInit, CLOUD_INIT_LIMITS, requirePermission, tenantFor, type CloudInit, type CloudInitInput, type Viewer } from '@novacron/contracts';
import { checkName, DomainError, parseId, type TenantId } from '@novacron/core';
import { STRATEGIES, type PlacementRequest, type Strategy } from '@novacron/placement';
import { checkBootPath, type KernelBoot } from './boot-files.ts';
import type { KeyWishes } from './neighbours.ts';
import { checkCmdline, checkLabel, checkMemory, checkTags, checkVcpus } from './rules.ts';

/** SSH keys that identity keeps for whoever asks, beside those that are sent. */
interface KeptKeysInput {
  sshKeyIds?: readonly string[] | null | undefined;
  withMySshKeys?: boolean | null | undefined;
}

/** What a client may send; see CreateVmInput in the schema. */
export interface CreateVmInput {
  name: string;
  vcpus?: number | null | undefined;
  memory?: number | null | undefined;
  imageId?: string | null | undefined;
  bootDiskSize?: number | null | undefined;
  volumes?: readonly string[] | null | undefined;
  networks?: readonly string[] | null | undefined;
  cloudInit?: (CloudInitInput & KeptKeysInput) | null | undefined;
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

/** The same, checked and completed. */
export interface CheckedInput {
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
  /** undefined: it is given none of those. */
  keptKeys: KeyWishes | undefined;
  start: boolean;
  tenantId: TenantId;
  placement: PlacementRequest;
}

const DEFAULTS = { vcpus: 1, memory: 512 * 2 ** 20 } as const;
const MIB = 2 ** 20;
/** What a VM has of each, at most: more is more than a guest finds places for. */
const MOST = { volumes: 16, networks: 8 } as const;

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
    hostId: hostId == null ? undefined : parseId(hostId, 'host', 'placement.hostId'),
    affinity: affinity?.map((id) => parseId(id, 'VM', 'placement.affinity')),
    antiAffinity: antiAffinity?.map((id) => parseId(id, 'VM', 'placement.antiAffinity')),
    requireLabels: isObject ? (requireLabels as Record<string, unknown>) : undefined, // just checked to be an object
  };
}

function idsOf(values: readonly string[], what: string, field: string, most: number): string[] {
  if (values.length > most) throw new DomainError('BAD_USER_INPUT', `A VM has at most ${most} of these.`, { field });
  return values.map((value) => parseId(value, what, field));
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
  return { imageId: imageId == null ? null : parseId(imageId, 'image', 'imageId'), bootDiskSize: bootDiskSize ?? null, volumes: ids };
}

function checkSeed(input: CreateVmInput['cloudInit'], name: string): Pick<CheckedInput, 'cloudInit' | 'keptKeys'> {
  if (input == null) return { cloudInit: null, keptKeys: undefined };
  const { sshKeyIds, withMySshKeys } = input;
  const ids = sshKeyIds == null || sshKeyIds.length === 0 ? undefined : idsOf(sshKeyIds, 'SSH key', 'cloudInit.sshKeyIds', CLOUD_INIT_LIMITS.sshKeys);
  return { cloudInit: checkCloudInit({ ...input, hostname: input.hostname ?? name }), keptKeys: withMySshKeys ? null : ids };
}

/** What was sent, checked and completed. BAD_USER_INPUT with the field at fault. */
export function checkInput(viewer: Viewer, input: CreateVmInput, bootDirectories: readonly string[]): CheckedInput {
  const tenantId = tenantFor(viewer, input.tenantId, 'VM');
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
    ...checkSeed(input.cloudInit, name),
    start: input.start ?? true,
    tenantId,
    placement: checkPlacement(input, vcpus, memory),
  };
}
