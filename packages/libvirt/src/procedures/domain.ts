import { boolean, bytes, int, list, nothing, optional, safeUhyper, string, struct, uhyper, uint } from '../codec.ts';
import { LIMIT } from '../limits.ts';
import { addressType, domain, exactParams, typedParams, uuid } from '../structures.ts';
import { procedure } from './procedure.ts';

const dom = struct({ dom: domain });
const domFlags = struct({ dom: domain, flags: uint });
const xmlFlags = struct({ xml: string, flags: uint });
const domXmlFlags = struct({ dom: domain, xml: string, flags: uint });

/** Domains: their life, their devices, their jobs. */
export const DOMAIN_PROCEDURES = {
  domainCreateXml: procedure('DOMAIN_CREATE_XML', 10, xmlFlags, dom),
  domainGetXmlDesc: procedure('DOMAIN_GET_XML_DESC', 14, domFlags, struct({ xml: string })),
  domainGetInfo: procedure('DOMAIN_GET_INFO', 16, dom, struct({
    state: uint, maxMemoryKiB: safeUhyper, memoryKiB: safeUhyper, vcpus: uint, cpuTimeNs: uhyper,
  })),
  domainLookupByName: procedure('DOMAIN_LOOKUP_BY_NAME', 23, struct({ name: string }), dom),
  domainLookupByUuid: procedure('DOMAIN_LOOKUP_BY_UUID', 24, struct({ uuid }), dom),
  domainReboot: procedure('DOMAIN_REBOOT', 27, domFlags, nothing),
  domainResume: procedure('DOMAIN_RESUME', 28, dom, nothing),
  domainSetAutostart: procedure('DOMAIN_SET_AUTOSTART', 29, struct({ dom: domain, autostart: boolean }), nothing),
  domainSuspend: procedure('DOMAIN_SUSPEND', 34, dom, nothing),
  domainAttachDeviceFlags: procedure('DOMAIN_ATTACH_DEVICE_FLAGS', 160, domXmlFlags, nothing),
  domainDetachDeviceFlags: procedure('DOMAIN_DETACH_DEVICE_FLAGS', 161, domXmlFlags, nothing),
  domainAbortJob: procedure('DOMAIN_ABORT_JOB', 164, dom, nothing),
  domainMigrateSetMaxDowntime: procedure(
    'DOMAIN_MIGRATE_SET_MAX_DOWNTIME', 166, struct({ dom: domain, downtimeMs: safeUhyper, flags: uint }), nothing,
  ),
  domainUpdateDeviceFlags: procedure('DOMAIN_UPDATE_DEVICE_FLAGS', 174, domXmlFlags, nothing),
  domainSnapshotListNames: procedure(
    'DOMAIN_SNAPSHOT_LIST_NAMES', 188, struct({ dom: domain, max: int, flags: uint }),
    struct({ names: list(string, LIMIT.snapshots) }),
  ),
  domainGetBlockInfo: procedure(
    'DOMAIN_GET_BLOCK_INFO', 194, struct({ dom: domain, disk: string, flags: uint }),
    struct({ allocation: safeUhyper, capacity: safeUhyper, physical: safeUhyper }),
  ),
  domainCreateWithFlags: procedure('DOMAIN_CREATE_WITH_FLAGS', 196, domFlags, dom),
  domainOpenConsole: procedure(
    'DOMAIN_OPEN_CONSOLE', 201, struct({ dom: domain, device: optional(string), flags: uint }), nothing,
  ),
  domainMigrateSetMaxSpeed: procedure(
    'DOMAIN_MIGRATE_SET_MAX_SPEED', 207, struct({ dom: domain, bandwidthMiBps: safeUhyper, flags: uint }), nothing,
  ),
  domainGetState: procedure('DOMAIN_GET_STATE', 212, domFlags, struct({ state: int, reason: int })),
  domainUndefineFlags: procedure('DOMAIN_UNDEFINE_FLAGS', 231, domFlags, nothing),
  domainDestroyFlags: procedure('DOMAIN_DESTROY_FLAGS', 234, domFlags, nothing),
  domainReset: procedure('DOMAIN_RESET', 245, domFlags, nothing),
  domainBlockResize: procedure(
    'DOMAIN_BLOCK_RESIZE', 251, struct({ dom: domain, disk: string, size: safeUhyper, flags: uint }), nothing,
  ),
  domainShutdownFlags: procedure('DOMAIN_SHUTDOWN_FLAGS', 258, domFlags, nothing),
  domainSetMetadata: procedure('DOMAIN_SET_METADATA', 264, struct({
    dom: domain, type: int, metadata: optional(string), key: optional(string), uri: optional(string), flags: uint,
  }), nothing),
  domainGetMetadata: procedure(
    'DOMAIN_GET_METADATA', 265, struct({ dom: domain, type: int, uri: optional(string), flags: uint }),
    struct({ metadata: string }),
  ),
  connectListAllDomains: procedure(
    'CONNECT_LIST_ALL_DOMAINS', 273, struct({ needResults: int, flags: uint }),
    struct({ domains: list(domain, LIMIT.domains), count: uint }),
  ),
  domainGetJobStats: procedure(
    'DOMAIN_GET_JOB_STATS', 298, domFlags, struct({ type: int, params: typedParams(LIMIT.jobStats) }),
  ),
  domainMigratePerform3Params: procedure('DOMAIN_MIGRATE_PERFORM3_PARAMS', 305, struct({
    dom: domain, destinationUri: optional(string), params: exactParams(LIMIT.migrationParameters),
    cookie: bytes(LIMIT.migrationCookieBytes), flags: uint,
  }), struct({ cookie: bytes(LIMIT.migrationCookieBytes) })),
  connectGetAllDomainStats: procedure(
    'CONNECT_GET_ALL_DOMAIN_STATS', 344,
    struct({ doms: list(domain, LIMIT.domains), stats: uint, flags: uint }),
    struct({ records: list(struct({ domain, params: typedParams(LIMIT.domainStats) }), LIMIT.domains) }),
  ),
  domainDefineXmlFlags: procedure('DOMAIN_DEFINE_XML_FLAGS', 350, xmlFlags, dom),
  domainInterfaceAddresses: procedure(
    'DOMAIN_INTERFACE_ADDRESSES', 353, struct({ dom: domain, source: uint, flags: uint }),
    struct({
      interfaces: list(struct({
        name: string, mac: optional(string),
        addresses: list(struct({ type: addressType, address: string, prefix: uint }), LIMIT.domainAddresses),
      }), LIMIT.domainInterfaces),
    }),
  ),
  domainDetachDeviceAlias: procedure(
    'DOMAIN_DETACH_DEVICE_ALIAS', 392, struct({ dom: domain, alias: string, flags: uint }), nothing,
  ),
} as const;
