import { bytes, int, list, nothing, string, struct, uint } from '../codec.ts';
import { LIMIT } from '../limits.ts';
import { secret, uuid } from '../structures.ts';
import { procedure } from './procedure.ts';

const oneSecret = struct({ secret });

/** Secrets: what libvirt keeps for storage and TPMs. */
export const SECRET_PROCEDURES = {
  secretLookupByUuid: procedure('SECRET_LOOKUP_BY_UUID', 141, struct({ uuid }), oneSecret),
  secretDefineXml: procedure('SECRET_DEFINE_XML', 142, struct({ xml: string, flags: uint }), oneSecret),
  secretSetValue: procedure(
    'SECRET_SET_VALUE', 144, struct({ secret, value: bytes(LIMIT.secretBytes), flags: uint }), nothing,
  ),
  secretUndefine: procedure('SECRET_UNDEFINE', 146, oneSecret, nothing),
  connectListAllSecrets: procedure(
    'CONNECT_LIST_ALL_SECRETS', 287, struct({ needResults: int, flags: uint }),
    struct({ secrets: list(secret, LIMIT.secrets), count: uint }),
  ),
} as const;
