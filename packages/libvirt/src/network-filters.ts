import { PROCEDURES } from './procedures.ts';
import type { CallOptions, RpcChannel } from './rpc-channel.ts';
import type { NetworkFilterRef } from './structures.ts';

/** The network filters (nwfilter) of one connection. Every method rejects with a ClientError; a filter that is gone is NO_NWFILTER. */
export class NetworkFilters {
  readonly #channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.#channel = channel;
  }

  /** All filters, at most 16384. */
  async list(options?: CallOptions): Promise<NetworkFilterRef[]> {
    return (await this.#channel.call(PROCEDURES.connectListAllFilters, { needResults: 1, flags: 0 }, options)).filters;
  }

  /** Rejects with NO_NWFILTER when there is none. */
  async lookupByName(name: string, options?: CallOptions): Promise<NetworkFilterRef> {
    return (await this.#channel.call(PROCEDURES.filterLookupByName, { name }, options)).filter;
  }

  /** Defines a filter, or redefines the one with the same UUID and name; running guests that use it get the new rules at once. */
  async define(xml: string, options?: CallOptions): Promise<NetworkFilterRef> {
    return (await this.#channel.call(PROCEDURES.filterDefineXml, { xml }, options)).filter;
  }

  /** Removes a filter; OPERATION_INVALID while a running guest or another filter uses it. */
  undefine(filter: NetworkFilterRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.filterUndefine, { filter }, options);
  }

  async xml(filter: NetworkFilterRef, options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.filterGetXmlDesc, { filter, flags: 0 }, options)).xml;
  }
}
