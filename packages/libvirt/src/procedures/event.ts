import type { Codec } from '../codec.ts';
import { int, nothing, optional, struct } from '../codec.ts';
import { domain, network, pool } from '../structures.ts';
import { procedure } from './procedure.ts';

/** `only`: the one object whose events are wanted; null: every one's. */
const registration = <T>(only: Codec<T>) => struct<{ eventId: number; only: T | null }>({ eventId: int, only: optional(only) });
const callback = struct({ callbackId: int });

/** Asking for events, and for no more of them. The events themselves are messages, not procedures. */
export const EVENT_PROCEDURES = {
  networkEventRegister: procedure('CONNECT_NETWORK_EVENT_REGISTER_ANY', 313, registration(network), callback),
  networkEventDeregister: procedure('CONNECT_NETWORK_EVENT_DEREGISTER_ANY', 314, callback, nothing),
  domainEventRegister: procedure('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', 316, registration(domain), callback),
  domainEventDeregister: procedure('CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY', 317, callback, nothing),
  poolEventRegister: procedure('CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY', 368, registration(pool), callback),
  poolEventDeregister: procedure('CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY', 369, callback, nothing),
} as const;
