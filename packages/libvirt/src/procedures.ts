import { CONNECTION_PROCEDURES } from './procedures/connection.ts';
import { DOMAIN_PROCEDURES } from './procedures/domain.ts';
import { EVENT_PROCEDURES } from './procedures/event.ts';
import { NETWORK_PROCEDURES } from './procedures/network.ts';
import { SECRET_PROCEDURES } from './procedures/secret.ts';
import { STORAGE_PROCEDURES } from './procedures/storage.ts';

/**
 * Every procedure this client can call: a new one is a new row in its noun's table, its fields in the
 * order of the structures `remote_<name>_args` and `remote_<name>_ret`.
 * Source: libvirt 9.0.0 src/remote/remote_protocol.x. The protocol only grows: numbers and
 * structures never change.
 */
export const PROCEDURES = {
  ...CONNECTION_PROCEDURES,
  ...DOMAIN_PROCEDURES,
  ...EVENT_PROCEDURES,
  ...NETWORK_PROCEDURES,
  ...SECRET_PROCEDURES,
  ...STORAGE_PROCEDURES,
} as const;
