import { ALL_TOGETHER } from './flags.ts';
import { PROCEDURES } from './procedures.ts';
import type { CallOptions, RpcChannel } from './rpc-channel.ts';

/** virNodeInfo: the host's hardware. */
export interface NodeInfo {
  /** The CPU's architecture, such as `x86_64`. */
  readonly model: string;
  readonly memoryKiB: number;
  readonly cpus: number;
  /** 0 when the host does not say. */
  readonly mhz: number;
  readonly nodes: number;
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
}

/** The host that the daemon runs on. Every method only reads. */
export class HostNode {
  readonly #channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.#channel = channel;
  }

  info(options?: CallOptions): Promise<NodeInfo> {
    return this.#channel.call(PROCEDURES.nodeGetInfo, undefined, options);
  }

  /** Nanoseconds since boot by field (`kernel`, `user`, `idle`, `iowait`), of one CPU or of all together. */
  async cpuStats(cpu: number = ALL_TOGETHER, options?: CallOptions): Promise<Readonly<Record<string, bigint>>> {
    const ask = (count: number) => this.#channel.call(PROCEDURES.nodeGetCpuStats, { cpu, count, flags: 0 }, options);
    // libvirt's idiom: the first answer is only the number of fields, the second carries them.
    return byField((await ask((await ask(0)).count)).params);
  }

  /** KiB by field (`total`, `free`, `buffers`, `cached`), of one NUMA cell or of all together. */
  async memoryStats(cell: number = ALL_TOGETHER, options?: CallOptions): Promise<Readonly<Record<string, number>>> {
    const ask = (count: number) => this.#channel.call(PROCEDURES.nodeGetMemoryStats, { count, cell, flags: 0 }, options);
    return byField((await ask((await ask(0)).count)).params);
  }

  /** Free memory in bytes. */
  async freeMemory(options?: CallOptions): Promise<number> {
    return (await this.#channel.call(PROCEDURES.nodeGetFreeMemory, undefined, options)).bytes;
  }
}

function byField<T>(params: readonly { field: string; value: T }[]): Record<string, T> {
  const fields = Object.create(null) as Record<string, T>; // create() is untyped
  for (const { field, value } of params) fields[field] = value;
  return fields;
}
