/**
 * The protocol's limits, enforced when reading and when writing.
 * Source: libvirt 9.0.0 src/rpc/virnetprotocol.x and src/remote/remote_protocol.x.
 */
export const LIMIT = {
  /** Bytes of a whole message: VIR_NET_MESSAGE_MAX, and the length word that it does not count. */
  messageBytes: 33_554_432 + 4,
  /** Bytes of one string: REMOTE_STRING_MAX. */
  stringBytes: 4_194_304,
  /** Bytes of stream data in one packet: VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX, which every daemon takes. */
  streamPacketBytes: 262_120,
  /** REMOTE_DOMAIN_LIST_MAX. */
  domains: 16_384,
  /** REMOTE_AUTH_TYPE_LIST_MAX. */
  authTypes: 20,
  /** REMOTE_NODE_CPU_STATS_MAX. */
  nodeCpuStats: 16,
  /** REMOTE_NODE_MEMORY_STATS_MAX. */
  nodeMemoryStats: 16,
  /** Typed parameters of one domain in a bulk answer: REMOTE_CONNECT_GET_ALL_DOMAIN_STATS_MAX. */
  domainStats: 262_144,
  /** REMOTE_DOMAIN_INTERFACE_MAX. */
  domainInterfaces: 2_048,
  /** REMOTE_DOMAIN_IP_ADDR_MAX. */
  domainAddresses: 2_048,
  /** REMOTE_DOMAIN_SNAPSHOT_LIST_MAX. */
  snapshots: 16_384,
  /** REMOTE_DOMAIN_MIGRATE_PARAM_LIST_MAX. */
  migrationParameters: 64,
  /** REMOTE_MIGRATE_COOKIE_MAX. */
  migrationCookieBytes: 4_194_304,
  /** REMOTE_DOMAIN_JOB_STATS_MAX. */
  jobStats: 64,
  /** REMOTE_STORAGE_POOL_LIST_MAX. */
  pools: 16_384,
  /** REMOTE_STORAGE_VOL_LIST_MAX. */
  volumes: 16_384,
  /** REMOTE_NETWORK_LIST_MAX. */
  networks: 16_384,
  /** REMOTE_NETWORK_DHCP_LEASES_MAX. */
  dhcpLeases: 65_536,
  /** REMOTE_NWFILTER_LIST_MAX. */
  networkFilters: 16_384,
  /** REMOTE_SECRET_LIST_MAX. */
  secrets: 16_384,
  /** REMOTE_SECRET_VALUE_MAX. */
  secretBytes: 65_536,
} as const;
