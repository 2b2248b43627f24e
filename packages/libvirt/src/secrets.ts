import { PROCEDURES } from './procedures.ts';
import type { CallOptions, RpcChannel } from './rpc-channel.ts';
import type { SecretRef } from './structures.ts';

/**
 * The secrets of one connection: passphrases and keys for storage, TLS and TPMs. Every method rejects
 * with a ClientError; a secret that is gone is NO_SECRET. Values go in and never come out here.
 */
export class Secrets {
  readonly #channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.#channel = channel;
  }

  /** All secrets, at most 16384. */
  async list(options?: CallOptions): Promise<SecretRef[]> {
    return (await this.#channel.call(PROCEDURES.connectListAllSecrets, { needResults: 1, flags: 0 }, options)).secrets;
  }

  /** Rejects with NO_SECRET when there is none. */
  async lookupByUuid(uuid: string, options?: CallOptions): Promise<SecretRef> {
    return (await this.#channel.call(PROCEDURES.secretLookupByUuid, { uuid }, options)).secret;
  }

  /** Defines a secret, without a value, or redefines the one with the same UUID and use, whose value stays. */
  async define(xml: string, options?: CallOptions): Promise<SecretRef> {
    return (await this.#channel.call(PROCEDURES.secretDefineXml, { xml, flags: 0 }, options)).secret;
  }

  /** Sets the value, at most 64 KiB. Idempotent. */
  setValue(secret: SecretRef, value: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.secretSetValue, { secret, value, flags: 0 }, options);
  }

  /** Removes the secret and its value. */
  undefine(secret: SecretRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.secretUndefine, { secret }, options);
  }
}
