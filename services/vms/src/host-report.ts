import type { HostRecord } from '@novacron/agent';
import { DomainError, isId } from '@novacron/core';
import { LibvirtError, type Connection, type Version } from '@novacron/libvirt';
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

function readHostCapabilities(xml: string): NonNullable<Capabilities['capabilities']>['host'] {
  try {
    return (parser.parse(xml, true) as Capabilities).capabilities?.host;
  } catch (error) {
    throw new DomainError('UNAVAILABLE', 'libvirt describes this host in XML that is malformed.', { cause: error });
  }
}

/** Which host this is, by its capabilities. UNAVAILABLE when they don't say. */
export function readHostUuid(xml: string): string {
  const uuid = readHostCapabilities(xml)?.uuid;
  if (typeof uuid !== 'string' || !isId(uuid)) throw new DomainError('UNAVAILABLE', 'libvirt does not say which host this is.');
  return uuid.toLowerCase();
}

/** Does libvirt set owners of files (DAC), by the host's capabilities? UNAVAILABLE when they can't be read. */
export const setsOwners = (xml: string): boolean => readHostCapabilities(xml)?.secmodel?.some(({ model }) => model === 'dac') ?? false;

/** libvirt's test driver is no machine, hence without a UUID and without memory of its own: it is who it was registered as. */
const TEST_DRIVER = 'TEST';

/** For a driver that does not measure its host. */
function unlessUnmeasured(error: unknown): Record<string, number> {
  if (error instanceof LibvirtError && error.is('NO_SUPPORT')) return {};
  throw error;
}

/** Which host this is, by its libvirt's own word. */
export const readLibvirtUuid = async (connection: Connection, host: HostRecord): Promise<string> =>
  (await connection.type()) === TEST_DRIVER ? host.id : readHostUuid(await connection.capabilities());

/** Reads what a host is and has. */
export async function readHost(connection: Connection, host: HostRecord, { overcommit, isAccelerated }: HostPolicy): Promise<HostReport> {
  const [type, version, libVersion, node, memoryStats, accelerated] = await Promise.all([
    connection.type(),
    connection.version(),
    connection.libVersion(),
    connection.node.info(),
    connection.node.memoryStats().catch(unlessUnmeasured),
    isAccelerated(host),
  ]);
  // libvirt's node information counts what the firmware lists; the kernel's total is what there is (memory may be hot-plugged)
  const memory = (memoryStats['total'] ?? node.memoryKiB) * 1024;
  return {
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
