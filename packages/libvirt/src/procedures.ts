import type { Codec } from './codec.ts';
import { int, list, nothing, optional, safeUhyper, string, struct, uhyper, uint } from './codec.ts';
import { LIMIT } from './limits.ts';
import { domain, fixedChars, typedParams, uuid } from './structures.ts';

/** One remote procedure. */
export interface Procedure<Args, Result> {
  readonly name: string;
  readonly number: number;
  readonly args: Codec<Args>;
  readonly result: Codec<Result>;
}

function procedure<Args, Result>(
  name: string,
  number: number,
  args: Codec<Args>,
  result: Codec<Result>,
): Procedure<Args, Result> {
  return { name, number, args, result };
}

const dom = struct({ dom: domain });
const domFlags = struct({ dom: domain, flags: uint });
const xmlFlags = struct({ xml: string, flags: uint });

/**
 * Every procedure this client can call: a new one is a new row, its fields in the order of the
 * structures `remote_<name>_args` and `remote_<name>_ret`.
 * Source: libvirt 9.0.0 src/remote/remote_protocol.x. The protocol only grows: numbers and
 * structures never change.
 */
export const PROCEDURES = {
  connectOpen: procedure('CONNECT_OPEN', 1, struct({ name: optional(string), flags: uint }), nothing),
  connectClose: procedure('CONNECT_CLOSE', 2, nothing, nothing),
  connectGetType: procedure('CONNECT_GET_TYPE', 3, nothing, struct({ type: string })),
  connectGetVersion: procedure('CONNECT_GET_VERSION', 4, nothing, struct({ version: safeUhyper })),
  nodeGetInfo: procedure('NODE_GET_INFO', 6, nothing, struct({
    model: fixedChars(32), memoryKiB: safeUhyper, cpus: int, mhz: int, nodes: int, sockets: int, cores: int, threads: int,
  })),
  connectGetCapabilities: procedure('CONNECT_GET_CAPABILITIES', 7, nothing, struct({ xml: string })),
  domainCreateXml: procedure('DOMAIN_CREATE_XML', 10, xmlFlags, dom),
  domainGetXmlDesc: procedure('DOMAIN_GET_XML_DESC', 14, domFlags, struct({ xml: string })),
  domainGetInfo: procedure('DOMAIN_GET_INFO', 16, dom, struct({
    state: uint, maxMemoryKiB: safeUhyper, memoryKiB: safeUhyper, vcpus: uint, cpuTimeNs: uhyper,
  })),
  domainLookupByName: procedure('DOMAIN_LOOKUP_BY_NAME', 23, struct({ name: string }), dom),
  domainLookupByUuid: procedure('DOMAIN_LOOKUP_BY_UUID', 24, struct({ uuid }), dom),
  domainReboot: procedure('DOMAIN_REBOOT', 27, domFlags, nothing),
  domainResume: procedure('DOMAIN_RESUME', 28, dom, nothing),
  domainSuspend: procedure('DOMAIN_SUSPEND', 34, dom, nothing),
  connectGetHostname: procedure('CONNECT_GET_HOSTNAME', 59, nothing, struct({ hostname: string })),
  connectSupportsFeature: procedure('CONNECT_SUPPORTS_FEATURE', 60, struct({ feature: int }), struct({ supported: int })),
  authList: procedure('AUTH_LIST', 66, nothing, struct({ types: list(uint, LIMIT.authTypes) })),
  authPolkit: procedure('AUTH_POLKIT', 70, nothing, struct({ complete: int })),
  nodeGetFreeMemory: procedure('NODE_GET_FREE_MEMORY', 102, nothing, struct({ bytes: safeUhyper })),
  connectGetUri: procedure('CONNECT_GET_URI', 110, nothing, struct({ uri: string })),
  connectGetLibVersion: procedure('CONNECT_GET_LIB_VERSION', 157, nothing, struct({ version: safeUhyper })),
  domainCreateWithFlags: procedure('DOMAIN_CREATE_WITH_FLAGS', 196, domFlags, dom),
  domainOpenConsole: procedure(
    'DOMAIN_OPEN_CONSOLE', 201, struct({ dom: domain, device: optional(string), flags: uint }), nothing,
  ),
  domainGetState: procedure('DOMAIN_GET_STATE', 212, domFlags, struct({ state: int, reason: int })),
  nodeGetCpuStats: procedure(
    'NODE_GET_CPU_STATS', 227, struct({ cpu: int, count: int, flags: uint }),
    struct({ params: list(struct({ field: string, value: uhyper }), LIMIT.nodeCpuStats), count: int }),
  ),
  nodeGetMemoryStats: procedure(
    'NODE_GET_MEMORY_STATS', 228, struct({ count: int, cell: int, flags: uint }),
    struct({ params: list(struct({ field: string, value: safeUhyper }), LIMIT.nodeMemoryStats), count: int }),
  ),
  domainUndefineFlags: procedure('DOMAIN_UNDEFINE_FLAGS', 231, domFlags, nothing),
  domainDestroyFlags: procedure('DOMAIN_DESTROY_FLAGS', 234, domFlags, nothing),
  domainReset: procedure('DOMAIN_RESET', 245, domFlags, nothing),
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
  domainEventRegister: procedure(
    'CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', 316, struct({ eventId: int, dom: optional(domain) }),
    struct({ callbackId: int }),
  ),
  domainEventDeregister: procedure(
    'CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY', 317, struct({ callbackId: int }), nothing,
  ),
  connectGetDomainCapabilities: procedure('CONNECT_GET_DOMAIN_CAPABILITIES', 342, struct({
    emulator: optional(string), arch: optional(string), machine: optional(string), virtType: optional(string), flags: uint,
  }), struct({ xml: string })),
  connectGetAllDomainStats: procedure(
    'CONNECT_GET_ALL_DOMAIN_STATS', 344,
    struct({ doms: list(domain, LIMIT.domains), stats: uint, flags: uint }),
    struct({ records: list(struct({ domain, params: typedParams(LIMIT.domainStats) }), LIMIT.domains) }),
  ),
  domainDefineXmlFlags: procedure('DOMAIN_DEFINE_XML_FLAGS', 350, xmlFlags, dom),
} as const;
