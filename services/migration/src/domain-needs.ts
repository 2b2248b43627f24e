import { DOMAIN_METADATA_URI } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { XMLParser } from 'fast-xml-parser';

/** What a domain needs of a host, and what keeps it where it is: read from its XML, pure. */
export interface DomainNeeds {
  virtType: string;
  arch: string;
  machine: string;
  emulator: string | null;
  cpu: {
    mode: string | null;
    /** The element, where it names a model that can be compared; null: it takes what there is. */
    xml: string | null;
  };
  pools: string[];
  networks: string[];
  /** Disks that are written to, by what the guest finds them as. */
  disks: string[];
  /** The version of the source's hypervisor: what takes what there is needs the same. */
  hypervisorVersion: number;
}

interface Attributes {
  [name: `@${string}`]: string | undefined;
}
interface Disk extends Attributes {
  source?: Attributes | '';
  target?: Attributes;
  readonly?: unknown;
}
interface Interface extends Attributes {
  source?: Attributes;
}
/** A domain (https://libvirt.org/formatdomain.html) as the parser gives it: any of it may be missing. */
interface Domain extends Attributes {
  metadata?: Record<string, unknown>;
  os?: { type?: Attributes };
  cpu?: Attributes & { model?: unknown };
  devices?: { emulator?: string; disk?: Disk[]; interface?: Interface[]; hostdev?: unknown[]; filesystem?: unknown[]; shmem?: unknown[] };
}

const LISTS = new Set(['disk', 'interface', 'hostdev', 'filesystem', 'shmem']);
const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', parseAttributeValue: false, isArray: (name) => LISTS.has(name) });

function parse(xml: string): Domain {
  try {
    return (parser.parse(xml, true) as { domain?: Domain }).domain ?? {};
  } catch (error) {
    throw new DomainError('UNAVAILABLE', 'libvirt describes this VM in XML that is malformed.', { cause: error });
  }
}

/** Whose it is: without NovaCron's mark it is not ours. */
const isOurs = ({ metadata }: Domain): boolean => Object.entries(metadata ?? {}).some(([, value]) => Object.values(Object(value) as Attributes).includes(DOMAIN_METADATA_URI));

/** What keeps a domain on its host, as sentences; empty when nothing does. */
export function blockersOf(xml: string): string[] {
  const domain = parse(xml);
  const { disk = [], hostdev = [], filesystem = [], shmem = [] } = domain.devices ?? {};
  const media = disk.filter((one) => ['cdrom', 'floppy'].includes(one['@device'] ?? '') && one.source !== undefined && one.source !== '');
  const local = disk.filter((one) => (one['@device'] ?? 'disk') === 'disk' && one['@type'] !== 'volume' && one['@type'] !== 'network');
  return [
    ...(isOurs(domain) ? [] : ['The domain on its host is not one of NovaCron\'s.']),
    ...(hostdev.length > 0 ? ['The VM uses a device of its host.'] : []),
    ...(filesystem.length + shmem.length > 0 ? ['The VM shares files or memory with its host.'] : []),
    ...(media.length > 0 ? ['The VM has a medium of its host inserted.'] : []),
    ...(local.length > 0 ? ['The VM has a disk that is in no storage pool.'] : []),
  ];
}

/** What a domain needs of its next host. */
export function needsOf(xml: string, hypervisorVersion: number): DomainNeeds {
  const { os, cpu, devices, ...domain } = parse(xml);
  const disks = devices?.disk ?? [];
  const sources = (name: `@${string}`, of: readonly { source?: Attributes | '' }[]): string[] => [
    ...new Set(of.flatMap(({ source }) => (typeof source === 'object' ? (source[name] ?? []) : []))),
  ];
  return {
    virtType: domain['@type'] ?? 'qemu',
    arch: os?.type?.['@arch'] ?? 'x86_64',
    machine: os?.type?.['@machine'] ?? '',
    emulator: devices?.emulator ?? null,
    cpu: { mode: cpu?.['@mode'] ?? null, xml: cpu?.model === undefined ? null : (/<cpu\b[\s\S]*?<\/cpu>/.exec(xml)?.[0] ?? null) },
    pools: sources('@pool', disks),
    networks: sources('@network', devices?.interface ?? []),
    disks: disks.flatMap(({ readonly, target }) => (readonly === undefined ? (target?.['@dev'] ?? []) : [])),
    hypervisorVersion,
  };
}

/** Can a CPU mode ("maximum") be had, by what the hypervisor says that domains can have here (virsh domcapabilities)? */
export function supportsCpuMode(domainCapabilities: string, mode: string): boolean {
  const found = new RegExp(`<mode\\s+name=['"]${mode}['"]\\s+supported=['"](yes|no)['"]`).exec(domainCapabilities);
  return found?.[1] === 'yes';
}
