import { LIST_POOLS } from './flags.ts';
import { PROCEDURES } from './procedures.ts';
import type { CallOptions, RpcChannel } from './rpc-channel.ts';
import type { PoolRef } from './structures.ts';

/** Source: libvirt 9.0.0 include/libvirt/libvirt-storage.h, virStoragePoolState; the position is libvirt's number. */
const STATES = ['inactive', 'building', 'running', 'degraded', 'inaccessible'] as const;

/** What a pool is doing; `unknown` stands for a number that this client does not know. */
export type PoolState = (typeof STATES)[number] | 'unknown';

/** virStoragePoolInfo, in bytes; all 0 while the pool is inactive. */
export interface PoolInfo {
  readonly state: PoolState;
  readonly capacity: number;
  readonly allocation: number;
  readonly available: number;
}

/** The storage pools of one connection. Every method rejects with a ClientError; a pool that is gone is NO_STORAGE_POOL. */
export class Pools {
  readonly #channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.#channel = channel;
  }

  /** All pools, or only those that are active, or that are not; at most 16384. */
  async list(filter: { active?: boolean } = {}, options?: CallOptions): Promise<PoolRef[]> {
    const flags = filter.active === undefined ? 0 : filter.active ? LIST_POOLS.ACTIVE : LIST_POOLS.INACTIVE;
    return (await this.#channel.call(PROCEDURES.connectListAllPools, { needResults: 1, flags }, options)).pools;
  }

  /** Rejects with NO_STORAGE_POOL when there is none. */
  async lookupByName(name: string, options?: CallOptions): Promise<PoolRef> {
    return (await this.#channel.call(PROCEDURES.poolLookupByName, { name }, options)).pool;
  }

  /** Rejects with NO_STORAGE_POOL when there is none. */
  async lookupByUuid(uuid: string, options?: CallOptions): Promise<PoolRef> {
    return (await this.#channel.call(PROCEDURES.poolLookupByUuid, { uuid }, options)).pool;
  }

  /** Defines a persistent pool, or redefines the one with the same UUID and name. It is not built and not started. */
  async define(xml: string, options?: CallOptions): Promise<PoolRef> {
    return (await this.#channel.call(PROCEDURES.poolDefineXml, { xml, flags: 0 }, options)).pool;
  }

  /** Makes what the pool is to live in: a directory, a file system, a volume group. `flags`: BUILD_POOL. */
  build(pool: PoolRef, flags = 0, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.poolBuild, { pool, flags }, options);
  }

  /** Starts a defined pool; OPERATION_INVALID when it is active. `flags`: START_POOL. */
  start(pool: PoolRef, flags = 0, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.poolCreate, { pool, flags }, options);
  }

  /** Stops a pool; its definition and its volumes stay. OPERATION_INVALID when it is not active. */
  destroy(pool: PoolRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.poolDestroy, { pool }, options);
  }

  /** Removes the definition of an inactive pool (active: OPERATION_INVALID); its volumes stay. */
  undefine(pool: PoolRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.poolUndefine, { pool }, options);
  }

  /** Whether the daemon starts the pool when it starts. Idempotent. */
  setAutostart(pool: PoolRef, autostart: boolean, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.poolSetAutostart, { pool, autostart }, options);
  }

  /** Looks for volumes that came, went or grew without libvirt. May take long on a large pool. */
  refresh(pool: PoolRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.poolRefresh, { pool, flags: 0 }, options);
  }

  /** State and bytes as of the last change or refresh; it does not look at the medium. */
  async info(pool: PoolRef, options?: CallOptions): Promise<PoolInfo> {
    const info = await this.#channel.call(PROCEDURES.poolGetInfo, { pool }, options);
    return { ...info, state: STATES[info.state] ?? 'unknown' };
  }

  async xml(pool: PoolRef, options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.poolGetXmlDesc, { pool, flags: 0 }, options)).xml;
  }

  async isActive(pool: PoolRef, options?: CallOptions): Promise<boolean> {
    return (await this.#channel.call(PROCEDURES.poolIsActive, { pool }, options)).active;
  }
}
