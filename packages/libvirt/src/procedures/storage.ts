import { boolean, int, list, nothing, safeUhyper, string, struct, uint } from '../codec.ts';
import { LIMIT } from '../limits.ts';
import { pool, uuid, volume } from '../structures.ts';
import { procedure } from './procedure.ts';

const onePool = struct({ pool });
const poolFlags = struct({ pool, flags: uint });
const oneVolume = struct({ volume });
const volumeFlags = struct({ volume, flags: uint });
const volumePart = struct({ volume, offset: safeUhyper, length: safeUhyper, flags: uint });
const xml = struct({ xml: string });

/** Storage pools and their volumes. */
export const STORAGE_PROCEDURES = {
  poolDefineXml: procedure('STORAGE_POOL_DEFINE_XML', 77, struct({ xml: string, flags: uint }), onePool),
  poolCreate: procedure('STORAGE_POOL_CREATE', 78, poolFlags, nothing),
  poolBuild: procedure('STORAGE_POOL_BUILD', 79, poolFlags, nothing),
  poolDestroy: procedure('STORAGE_POOL_DESTROY', 80, onePool, nothing),
  poolUndefine: procedure('STORAGE_POOL_UNDEFINE', 82, onePool, nothing),
  poolRefresh: procedure('STORAGE_POOL_REFRESH', 83, poolFlags, nothing),
  poolLookupByName: procedure('STORAGE_POOL_LOOKUP_BY_NAME', 84, struct({ name: string }), onePool),
  poolLookupByUuid: procedure('STORAGE_POOL_LOOKUP_BY_UUID', 85, struct({ uuid }), onePool),
  poolGetInfo: procedure('STORAGE_POOL_GET_INFO', 87, onePool, struct({
    state: uint, capacity: safeUhyper, allocation: safeUhyper, available: safeUhyper,
  })),
  poolGetXmlDesc: procedure('STORAGE_POOL_GET_XML_DESC', 88, poolFlags, xml),
  poolSetAutostart: procedure('STORAGE_POOL_SET_AUTOSTART', 90, struct({ pool, autostart: boolean }), nothing),
  volumeCreateXml: procedure('STORAGE_VOL_CREATE_XML', 93, struct({ pool, xml: string, flags: uint }), oneVolume),
  volumeDelete: procedure('STORAGE_VOL_DELETE', 94, volumeFlags, nothing),
  volumeLookupByName: procedure('STORAGE_VOL_LOOKUP_BY_NAME', 95, struct({ pool, name: string }), oneVolume),
  volumeGetXmlDesc: procedure('STORAGE_VOL_GET_XML_DESC', 99, volumeFlags, xml),
  volumeGetPath: procedure('STORAGE_VOL_GET_PATH', 100, oneVolume, struct({ path: string })),
  volumeCreateXmlFrom: procedure(
    'STORAGE_VOL_CREATE_XML_FROM', 125, struct({ pool, xml: string, source: volume, flags: uint }), oneVolume,
  ),
  poolIsActive: procedure('STORAGE_POOL_IS_ACTIVE', 154, onePool, struct({ active: boolean })),
  volumeWipe: procedure('STORAGE_VOL_WIPE', 165, volumeFlags, nothing),
  volumeUpload: procedure('STORAGE_VOL_UPLOAD', 208, volumePart, nothing),
  volumeDownload: procedure('STORAGE_VOL_DOWNLOAD', 209, volumePart, nothing),
  volumeResize: procedure('STORAGE_VOL_RESIZE', 260, struct({ volume, capacity: safeUhyper, flags: uint }), nothing),
  connectListAllPools: procedure(
    'CONNECT_LIST_ALL_STORAGE_POOLS', 281, struct({ needResults: int, flags: uint }),
    struct({ pools: list(pool, LIMIT.pools), count: uint }),
  ),
  poolListAllVolumes: procedure(
    'STORAGE_POOL_LIST_ALL_VOLUMES', 282, struct({ pool, needResults: int, flags: uint }),
    struct({ volumes: list(volume, LIMIT.volumes), count: uint }),
  ),
  volumeGetInfoFlags: procedure(
    'STORAGE_VOL_GET_INFO_FLAGS', 378, volumeFlags, struct({ type: int, capacity: safeUhyper, allocation: safeUhyper }),
  ),
} as const;
