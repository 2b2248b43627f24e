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
} as const;
