import { boolean, int, list, nothing, optional, safeHyper, string, struct, uint } from '../codec.ts';
import { LIMIT } from '../limits.ts';
import { addressType, network, networkFilter, uuid } from '../structures.ts';
import { procedure } from './procedure.ts';

const oneNetwork = struct({ network });
const networkFlags = struct({ network, flags: uint });
const oneFilter = struct({ filter: networkFilter });
const xml = struct({ xml: string });
const name = struct({ name: string });

/** Virtual networks and network filters. */
export const NETWORK_PROCEDURES = {
  networkCreate: procedure('NETWORK_CREATE', 39, oneNetwork, nothing),
  networkDefineXml: procedure('NETWORK_DEFINE_XML', 41, xml, oneNetwork),
  networkDestroy: procedure('NETWORK_DESTROY', 42, oneNetwork, nothing),
  networkGetXmlDesc: procedure('NETWORK_GET_XML_DESC', 43, networkFlags, xml),
  networkGetBridgeName: procedure('NETWORK_GET_BRIDGE_NAME', 45, oneNetwork, name),
  networkLookupByName: procedure('NETWORK_LOOKUP_BY_NAME', 46, name, oneNetwork),
  networkLookupByUuid: procedure('NETWORK_LOOKUP_BY_UUID', 47, struct({ uuid }), oneNetwork),
  networkSetAutostart: procedure('NETWORK_SET_AUTOSTART', 48, struct({ network, autostart: boolean }), nothing),
  networkUndefine: procedure('NETWORK_UNDEFINE', 49, oneNetwork, nothing),
  networkIsActive: procedure('NETWORK_IS_ACTIVE', 152, oneNetwork, struct({ active: boolean })),
  filterLookupByName: procedure('NWFILTER_LOOKUP_BY_NAME', 175, name, oneFilter),
  filterGetXmlDesc: procedure('NWFILTER_GET_XML_DESC', 177, struct({ filter: networkFilter, flags: uint }), xml),
  filterDefineXml: procedure('NWFILTER_DEFINE_XML', 180, xml, oneFilter),
  filterUndefine: procedure('NWFILTER_UNDEFINE', 181, oneFilter, nothing),
  connectListAllNetworks: procedure(
    'CONNECT_LIST_ALL_NETWORKS', 283, struct({ needResults: int, flags: uint }),
    struct({ networks: list(network, LIMIT.networks), count: uint }),
  ),
  connectListAllFilters: procedure(
    'CONNECT_LIST_ALL_NWFILTERS', 286, struct({ needResults: int, flags: uint }),
    struct({ filters: list(networkFilter, LIMIT.networkFilters), count: uint }),
  ),
  networkUpdate: procedure('NETWORK_UPDATE', 291, struct({
    network, command: uint, section: uint, parentIndex: int, xml: string, flags: uint,
  }), nothing),
  networkGetDhcpLeases: procedure(
    'NETWORK_GET_DHCP_LEASES', 341, struct({ network, mac: optional(string), needResults: int, flags: uint }),
    struct({
      leases: list(struct({
        interface: string, expiresAtSeconds: safeHyper, type: addressType, mac: optional(string), iaid: optional(string),
        address: string, prefix: uint, hostname: optional(string), clientId: optional(string),
      }), LIMIT.dhcpLeases),
      count: uint,
    }),
  ),
} as const;
