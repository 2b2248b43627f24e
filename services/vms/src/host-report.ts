import type { HostRecord } from '@novacron/agent';
import { DomainError, isId } from '@novacron/core';
import type { Connection, Version } from '@novacron/libvirt';
import { XMLParser } from 'fast-xml-parser';
import type { HostReport } from './store/hosts.ts';

/** What this process decides about the hosts that it serves. */
export interface HostPolicy {
  /** How much more is promised than there is. */
  overcommit: { cpu: number; memory: number };
  /** Do guests on this host run on its CPU, or are they emulated? Proven, not assumed. */
  isAccelerated(host: HostRecord): Promise<boolean>;
}

const versionText = ({ major, minor, release }: Version): string => `${major}.${minor}.${release}`;

const parser = new XMLParser({ ignoreAttributes: true, processEntities: false, isArray: (name) => name === 'secmodel' });

/** libvirt's capabilities (https://libvirt.org/formatcaps.html) as the parser gives them: any of it may be missing. */
interface Capabilities {
  capabilities?: { host?: { uuid?: unknown; secmodel?: { model?: unknown }[] } };
}

/** What we need of a host's capabilities. UNAVAILABLE when they can't be read. */
export function readCapabilities(xml: string): { uuid: string; setsOwners: boolean } {
  let host: NonNullable<Capabilities['capabilities']>['host'];
  try {
    host = (parser.parse(xml, true) as Capabilities).capabilities?.host;
  } catch (error) {
    throw new DomainError('UNAVAILABLE', 'libvirt describes this host in XML that is malformed.', { cause: error });
  }
  const uuid = host?.uuid;
  if (typeof uuid !== 'string' || !isId(uuid)) throw new DomainError('UNAVAILABLE', 'libvirt does not say which host this is.');
  return { uuid: uuid.toLowerCase(), setsOwners: host?.secmodel?.some(({ model }) => model === 'dac') ?? false };
}

/** Reads what a host is and has. */
export async function readHost(connection: Connection, host: HostRecord, { overcommit, isAccelerated }: HostPolicy): Promise<HostReport> {
  const [capabilities, type, version, libVersion, node, memoryStats, accelerated] = await Promise.all([
    connection.capabilities(),
    connection.type(),
    connection.version(),
    connection.libVersion(),
    connection.node.info(),
    connection.node.memoryStats(),
    isAccelerated(host),
  ]);
  // libvirt's node information counts what the firmware lists; the kernel's total is what there is (memory may be hot-plugged)
  const memory = (memoryStats['total'] ?? node.memoryKiB) * 1024;
  return {
    libvirtUuid: readCapabilities(capabilities).uuid,
    hypervisorType: type,
    hypervisorVersion: versionText(version),
    libvirtVersion: versionText(libVersion),
    accelerated,
    cpus: node.cpus,
    memory: BigInt(memory),
    capacityVcpus: Math.floor(node.cpus * overcommit.cpu),
    capacityMemory: BigInt(Math.floor(memory * overcommit.memory)),
  };
}
