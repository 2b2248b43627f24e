/**
 * Flags of the domain procedures; combine them with `|`.
 * Source of every number: libvirt 9.0.0 include/libvirt/libvirt-domain.h, the enum named at each one.
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

/** virDrvFeature, the ones this client asks for. Source: libvirt 9.0.0 src/libvirt_internal.h. */
export const DRIVER_FEATURE = { PROGRAM_KEEPALIVE: 10 } as const;

/** remote_auth_type. Source: libvirt 9.0.0 src/remote/remote_protocol.x. */
export const AUTH_TYPE = { NONE: 0, SASL: 1, POLKIT: 2 } as const;

/** For node statistics: all CPUs or cells together (VIR_NODE_CPU_STATS_ALL_CPUS, VIR_NODE_MEMORY_STATS_ALL_CELLS). */
export const ALL_TOGETHER = -1;
