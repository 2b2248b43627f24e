import { int, list, nothing, optional, safeUhyper, string, struct, uhyper, uint } from '../codec.ts';
import { LIMIT } from '../limits.ts';
import { fixedChars } from '../structures.ts';
import { procedure } from './procedure.ts';

const cpuComparison = struct({ result: int });

/** The connection itself, and the host that the daemon runs on. */
export const CONNECTION_PROCEDURES = {
  connectOpen: procedure('CONNECT_OPEN', 1, struct({ name: optional(string), flags: uint }), nothing),
  connectClose: procedure('CONNECT_CLOSE', 2, nothing, nothing),
  connectGetType: procedure('CONNECT_GET_TYPE', 3, nothing, struct({ type: string })),
  connectGetVersion: procedure('CONNECT_GET_VERSION', 4, nothing, struct({ version: safeUhyper })),
  nodeGetInfo: procedure('NODE_GET_INFO', 6, nothing, struct({
    model: fixedChars(32), memoryKiB: safeUhyper, cpus: int, mhz: int, nodes: int, sockets: int, cores: int, threads: int,
  })),
  connectGetCapabilities: procedure('CONNECT_GET_CAPABILITIES', 7, nothing, struct({ xml: string })),
  connectGetHostname: procedure('CONNECT_GET_HOSTNAME', 59, nothing, struct({ hostname: string })),
  connectSupportsFeature: procedure('CONNECT_SUPPORTS_FEATURE', 60, struct({ feature: int }), struct({ supported: int })),
  authList: procedure('AUTH_LIST', 66, nothing, struct({ types: list(uint, LIMIT.authTypes) })),
  authPolkit: procedure('AUTH_POLKIT', 70, nothing, struct({ complete: int })),
  nodeGetFreeMemory: procedure('NODE_GET_FREE_MEMORY', 102, nothing, struct({ bytes: safeUhyper })),
  connectGetUri: procedure('CONNECT_GET_URI', 110, nothing, struct({ uri: string })),
  connectGetLibVersion: procedure('CONNECT_GET_LIB_VERSION', 157, nothing, struct({ version: safeUhyper })),
  connectCompareCpu: procedure('CONNECT_COMPARE_CPU', 158, struct({ xml: string, flags: uint }), cpuComparison),
  nodeGetCpuStats: procedure(
    'NODE_GET_CPU_STATS', 227, struct({ cpu: int, count: int, flags: uint }),
    struct({ params: list(struct({ field: string, value: uhyper }), LIMIT.nodeCpuStats), count: int }),
  ),
  nodeGetMemoryStats: procedure(
    'NODE_GET_MEMORY_STATS', 228, struct({ count: int, cell: int, flags: uint }),
    struct({ params: list(struct({ field: string, value: safeUhyper }), LIMIT.nodeMemoryStats), count: int }),
  ),
  connectGetDomainCapabilities: procedure('CONNECT_GET_DOMAIN_CAPABILITIES', 342, struct({
    emulator: optional(string), arch: optional(string), machine: optional(string), virtType: optional(string), flags: uint,
  }), struct({ xml: string })),
  connectCompareHypervisorCpu: procedure('CONNECT_COMPARE_HYPERVISOR_CPU', 393, struct({
    emulator: optional(string), arch: optional(string), machine: optional(string), virtType: optional(string),
    xml: string, flags: uint,
  }), cpuComparison),
} as const;
