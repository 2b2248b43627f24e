/**
 * Flags of the procedures; combine them with `|`.
 * Source of every number: libvirt 9.0.0 include/libvirt/libvirt-domain.h, libvirt-storage.h,
 * libvirt-network.h and libvirt-host.h, the enum named at each one.
 */

/** virConnectListAllDomainsFlags. No flag lists all; flags of one pair are alternatives, pairs narrow each other. */
export const LIST_DOMAINS = {
  ACTIVE: 1 << 0,
  INACTIVE: 1 << 1,
  PERSISTENT: 1 << 2,
  TRANSIENT: 1 << 3,
  RUNNING: 1 << 4,
  PAUSED: 1 << 5,
  SHUTOFF: 1 << 6,
  OTHER: 1 << 7,
  MANAGEDSAVE: 1 << 8,
  NO_MANAGEDSAVE: 1 << 9,
  AUTOSTART: 1 << 10,
  NO_AUTOSTART: 1 << 11,
  HAS_SNAPSHOT: 1 << 12,
  NO_SNAPSHOT: 1 << 13,
  HAS_CHECKPOINT: 1 << 14,
  NO_CHECKPOINT: 1 << 15,
} as const;

/** virDomainDefineFlags. */
export const DEFINE = {
  /** Compare the XML with its schema first. */
  VALIDATE: 1 << 0,
} as const;

/** virDomainCreateFlags. */
export const START = {
  /** Start with the vCPUs stopped. */
  PAUSED: 1 << 0,
  /** Destroy the domain when this connection ends. */
  AUTODESTROY: 1 << 1,
  /** Keep a saved image out of the host's page cache. */
  BYPASS_CACHE: 1 << 2,
  /** Boot, and discard a managed saved image. */
  FORCE_BOOT: 1 << 3,
  /** Compare the XML with its schema first (createXml). */
  VALIDATE: 1 << 4,
  /** Begin with fresh NVRAM. */
  RESET_NVRAM: 1 << 5,
} as const;

/** virDomainUndefineFlagsValues: what else of the domain to remove or to keep. */
export const UNDEFINE = {
  MANAGED_SAVE: 1 << 0,
  SNAPSHOTS_METADATA: 1 << 1,
  NVRAM: 1 << 2,
  KEEP_NVRAM: 1 << 3,
  CHECKPOINTS_METADATA: 1 << 4,
  TPM: 1 << 5,
  KEEP_TPM: 1 << 6,
} as const;

/** virDomainDestroyFlagsValues. */
export const DESTROY = {
  /** SIGTERM only; fails when the hypervisor process does not end by itself. */
  GRACEFUL: 1 << 0,
  REMOVE_LOGS: 1 << 1,
} as const;

/** virDomainXMLFlags. */
export const XML = {
  /** Include passwords. */
  SECURE: 1 << 0,
  /** The definition that the next start will use. */
  INACTIVE: 1 << 1,
  /** Expand the CPU to what the host gives it. */
  UPDATE_CPU: 1 << 2,
  /** As an older libvirt understands it. */
  MIGRATABLE: 1 << 3,
} as const;

/** virDomainModificationImpact: what a change is made to. */
export const AFFECT = {
  /** The running domain if it runs, else its definition. */
  CURRENT: 0,
  LIVE: 1 << 0,
  CONFIG: 1 << 1,
} as const;

/** virDomainDeviceModifyFlags: AFFECT, and: */
export const DEVICE = {
  /** Make the change although the guest does not agree: eject a locked CD. */
  FORCE: 1 << 2,
} as const;

/** virDomainMigrateFlags. */
export const MIGRATE = {
  /** Keep the guest running meanwhile. */
  LIVE: 1 << 0,
  /** The source's daemon talks to the destination's; the only kind this client does, so it adds the flag itself. */
  PEER2PEER: 1 << 1,
  TUNNELLED: 1 << 2,
  /** Define the domain on the destination. */
  PERSIST_DEST: 1 << 3,
  /** Undefine it on the source. */
  UNDEFINE_SOURCE: 1 << 4,
  /** Leave the vCPUs stopped on the destination. */
  PAUSED: 1 << 5,
  /** Copy the disks too, whole. */
  NON_SHARED_DISK: 1 << 6,
  /** Copy the disks too, down to a backing file that both sides have. */
  NON_SHARED_INC: 1 << 7,
  /** Refuse other changes of the domain meanwhile. */
  CHANGE_PROTECTION: 1 << 8,
  /** Although libvirt thinks that the disks' caches make it unsafe. */
  UNSAFE: 1 << 9,
  /** Move only the definition of a domain that does not run; needs PERSIST_DEST. */
  OFFLINE: 1 << 10,
  COMPRESSED: 1 << 11,
  /** Give up when a disk of the guest has an I/O error meanwhile. */
  ABORT_ON_ERROR: 1 << 12,
  /** Slow the vCPUs down until memory is copied faster than it changes. */
  AUTO_CONVERGE: 1 << 13,
  RDMA_PIN_ALL: 1 << 14,
  /** Allow to switch to post-copy. */
  POSTCOPY: 1 << 15,
  /** Encrypt the hypervisors' own connection. */
  TLS: 1 << 16,
  /** Copy memory over several connections. */
  PARALLEL: 1 << 17,
  NON_SHARED_SYNCHRONOUS_WRITES: 1 << 18,
  POSTCOPY_RESUME: 1 << 19,
  ZEROCOPY: 1 << 20,
} as const;

/** virDomainGetJobStatsFlags. */
export const JOB_STATS = { COMPLETED: 1 << 0, KEEP_COMPLETED: 1 << 1 } as const;

/** virDomainBlockResizeFlags. */
export const BLOCK_RESIZE = { BYTES: 1 << 0 } as const;

/** virDomainInterfaceAddressesSource: who is asked for a guest's addresses. */
export const ADDRESS_SOURCE = {
  /** The DHCP server of libvirt's networks. */
  lease: 0,
  /** The guest agent. */
  agent: 1,
  /** The host's ARP table. */
  arp: 2,
} as const;

/** Who is asked for a guest's addresses. */
export type AddressSource = keyof typeof ADDRESS_SOURCE;

/** virDomainShutdownFlagValues and virDomainRebootFlagValues, which are the same: how the guest is asked. */
export const POWER_MODE = {
  /** The hypervisor chooses. */
  default: 0,
  /** Press the ACPI power button. */
  acpi: 1 << 0,
  /** Ask the guest agent. */
  agent: 1 << 1,
  initctl: 1 << 2,
  signal: 1 << 3,
  paravirt: 1 << 4,
} as const;

/** How a guest is asked to shut down or to reboot. */
export type PowerMode = keyof typeof POWER_MODE;

/** virDomainStatsTypes: groups of statistics. */
export const STATS_GROUP = {
  state: 1 << 0,
  cpu: 1 << 1,
  balloon: 1 << 2,
  vcpu: 1 << 3,
  interface: 1 << 4,
  block: 1 << 5,
  perf: 1 << 6,
  iothread: 1 << 7,
  memory: 1 << 8,
  dirtyrate: 1 << 9,
  vm: 1 << 10,
} as const;

/** A group of statistics. */
export type StatsGroup = keyof typeof STATS_GROUP;

/** virConnectGetAllDomainStatsFlags that are not filters. */
export const STATS = {
  /** Leave out what a busy domain could only give later. */
  NOWAIT: 1 << 29,
  /** Walk the backing chain of each disk. */
  BACKING: 1 << 30,
  /** Fail when the hypervisor lacks one of the groups, instead of leaving it out. */
  ENFORCE_STATS: 2 ** 31, // unsigned: 1 << 31 is negative
} as const;

/** virDomainConsoleFlags. */
export const CONSOLE = {
  /** Disconnect whoever has the console now. */
  FORCE: 1 << 0,
  /** Only where the hypervisor locks consoles against a second reader. */
  SAFE: 1 << 1,
} as const;

/** virDomainMetadataType. */
export const METADATA_TYPE = { description: 0, title: 1, element: 2 } as const;

/** virConnectListAllStoragePoolsFlags. */
export const LIST_POOLS = { INACTIVE: 1 << 0, ACTIVE: 1 << 1 } as const;

/** virStoragePoolCreateFlags. */
export const START_POOL = {
  /** Build it first. */
  WITH_BUILD: 1 << 0,
  WITH_BUILD_OVERWRITE: 1 << 1,
  WITH_BUILD_NO_OVERWRITE: 1 << 2,
} as const;

/** virStoragePoolBuildFlags. */
export const BUILD_POOL = {
  REPAIR: 1 << 0,
  RESIZE: 1 << 1,
  /** Fail when there is something already. */
  NO_OVERWRITE: 1 << 2,
  OVERWRITE: 1 << 3,
} as const;

/** virStorageVolCreateFlags. */
export const CREATE_VOLUME = {
  PREALLOC_METADATA: 1 << 0,
  /** Share the source's blocks; fails where the file system cannot. */
  REFLINK: 1 << 1,
  VALIDATE: 1 << 2,
} as const;

/** virStorageVolDeleteFlags. */
export const DELETE_VOLUME = {
  /** Overwrite it with zeros first. */
  ZEROED: 1 << 0,
  WITH_SNAPSHOTS: 1 << 1,
} as const;

/** virStorageVolInfoFlags. */
export const VOLUME_INFO = {
  /** `allocation` is what the volume takes on its medium: the size of a file, not its blocks. */
  GET_PHYSICAL: 1 << 0,
} as const;

/** virStorageVolResizeFlags. */
export const RESIZE_VOLUME = { ALLOCATE: 1 << 0, DELTA: 1 << 1, SHRINK: 1 << 2 } as const;

/** virStorageVolUploadFlags and virStorageVolDownloadFlags, which are the same. */
export const TRANSFER = { SPARSE_STREAM: 1 << 0 } as const;

/** virConnectListAllNetworksFlags. */
export const LIST_NETWORKS = { INACTIVE: 1 << 0, ACTIVE: 1 << 1 } as const;

/** virNetworkXMLFlags; not the numbers of XML, which is for domains. */
export const NETWORK_XML = {
  /** The definition that the next start will use. */
  INACTIVE: 1 << 0,
} as const;

/** virNetworkUpdateCommand: what is done to a section. */
export const NETWORK_UPDATE = { MODIFY: 1, DELETE: 2, ADD_LAST: 3, ADD_FIRST: 4 } as const;

/** virNetworkUpdateSection: the part of a network's definition that changes. */
export const NETWORK_SECTION = {
  BRIDGE: 1,
  DOMAIN: 2,
  IP: 3,
  IP_DHCP_HOST: 4,
  IP_DHCP_RANGE: 5,
  FORWARD: 6,
  FORWARD_INTERFACE: 7,
  FORWARD_PF: 8,
  PORTGROUP: 9,
  DNS_HOST: 10,
  DNS_TXT: 11,
  DNS_SRV: 12,
} as const;

/** virConnectCompareCPUFlags. */
export const COMPARE_CPU = {
  /** Reject with CPU_INCOMPATIBLE and libvirt's reasons, instead of answering `incompatible`. */
  FAIL_INCOMPATIBLE: 1 << 0,
  /** Compare the XML with its schema first. */
  VALIDATE_XML: 1 << 1,
} as const;

/** virDrvFeature, the ones this client asks for. Source: libvirt 9.0.0 src/libvirt_internal.h. */
export const DRIVER_FEATURE = { PROGRAM_KEEPALIVE: 10, NETWORK_UPDATE_HAS_CORRECT_ORDER: 16 } as const;

/** remote_auth_type. Source: libvirt 9.0.0 src/remote/remote_protocol.x. */
export const AUTH_TYPE = { NONE: 0, SASL: 1, POLKIT: 2 } as const;

/** For node statistics: all CPUs or cells together (VIR_NODE_CPU_STATS_ALL_CPUS, VIR_NODE_MEMORY_STATS_ALL_CELLS). */
export const ALL_TOGETHER = -1;
