import type { ExactParam } from './structures.ts';

/** How a domain migrates; what is left out is the hypervisor's default. */
export interface MigrationParams {
  /** Where the destination's hypervisor listens, as the source reaches it: `tcp://host:port`. */
  readonly uri?: string;
  /** The domain's name on the destination. */
  readonly name?: string;
  /** The domain's XML on the destination: other disk paths, other networks; the guest must not see a difference. */
  readonly destXml?: string;
  /** The definition that PERSIST_DEST leaves there. */
  readonly persistXml?: string;
  /** At most so many MiB a second. */
  readonly bandwidthMiBps?: number;
  readonly postcopyBandwidthMiBps?: number;
  /** The address on which the destination's hypervisor listens. */
  readonly listenAddress?: string;
  /** The disks to copy (`vda`), with NON_SHARED_DISK or NON_SHARED_INC; default: all that are neither shared nor read-only. */
  readonly migrateDisks?: readonly string[];
  /** The port, or the whole URI, by which disks are copied. */
  readonly disksPort?: number;
  readonly disksUri?: string;
  /** Percent by which AUTO_CONVERGE slows the vCPUs down at first, and then further. */
  readonly autoConvergeInitial?: number;
  readonly autoConvergeIncrement?: number;
  /** Connections of PARALLEL. */
  readonly parallelConnections?: number;
  /** The name in the destination's certificate, with TLS. */
  readonly tlsDestination?: string;
}

/** A migration to the host that the source's daemon finds at `destinationUri`. */
export interface Migration {
  /** The destination's libvirt URI as the source's daemon connects to it: `qemu+tls://host/system`. */
  readonly destinationUri: string;
  readonly params?: MigrationParams;
  /** MIGRATE; PEER2PEER is added. */
  readonly flags?: number;
}

/** libvirt's name and type of each. Source: libvirt 9.0.0 include/libvirt/libvirt-domain.h, src/qemu/qemu_migration.h. */
const PARAMETERS: { readonly [Name in keyof Required<MigrationParams>]: readonly [string, ExactParam['type']] } = {
  uri: ['migrate_uri', 'string'],
  name: ['destination_name', 'string'],
  destXml: ['destination_xml', 'string'],
  persistXml: ['persistent_xml', 'string'],
  bandwidthMiBps: ['bandwidth', 'ullong'],
  postcopyBandwidthMiBps: ['bandwidth.postcopy', 'ullong'],
  listenAddress: ['listen_address', 'string'],
  migrateDisks: ['migrate_disks', 'string'],
  disksPort: ['disks_port', 'int'],
  disksUri: ['disks_uri', 'string'],
  autoConvergeInitial: ['auto_converge.initial', 'int'],
  autoConvergeIncrement: ['auto_converge.increment', 'int'],
  parallelConnections: ['parallel.connections', 'int'],
  tlsDestination: ['tls.destination', 'string'],
};

/** The parameters as libvirt takes them; a list becomes one of each. */
export function migrationParameters(params: MigrationParams): ExactParam[] {
  const names = Object.keys(PARAMETERS) as (keyof MigrationParams)[]; // keys() forgets the key type
  return names.flatMap((name) => {
    const values = [params[name] ?? []].flat();
    const [field, type] = PARAMETERS[name];
    return values.map((value) => ({ field, type, value }) as ExactParam); // PARAMETERS pairs names with their types
  });
}
