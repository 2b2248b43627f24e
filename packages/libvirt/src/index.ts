export { connect } from './connection.ts';
export type { Connection, ConnectOptions, CpuComparison, DomainCapabilitiesQuery, Version } from './connection.ts';
export type {
  AgentLifecycleEvent,
  DeviceEvent,
  DomainEventKind,
  DomainEvents,
  JobCompletedEvent,
  LifecycleEvent,
  MigrationIterationEvent,
  RebootEvent,
} from './domain-event.ts';
export type { DomainJob } from './domain-job.ts';
export { describeState, type DomainState, type DomainStateName } from './domain-state.ts';
export type {
  BlockInfo,
  DomainFilter,
  DomainInfo,
  Domains,
  DomainStats,
  InterfaceAddresses,
  MetadataSlot,
} from './domains.ts';
export { ERROR_CODE, ERROR_DOMAIN, type ErrorCodeName } from './error-codes.ts';
export {
  ConnectionLost,
  DeadlineExceeded,
  InvalidRequest,
  isClientError,
  LibvirtError,
  ProtocolError,
  Unsupported,
  type ClientError,
  type CloseReason,
} from './errors.ts';
export type { EventSubscription } from './event-feed.ts';
export {
  AFFECT,
  BUILD_POOL,
  COMPARE_CPU,
  CREATE_VOLUME,
  DEFINE,
  DELETE_VOLUME,
  DESTROY,
  DEVICE,
  LIST_DOMAINS,
  MIGRATE,
  NETWORK_SECTION,
  NETWORK_UPDATE,
  NETWORK_XML,
  START,
  START_POOL,
  STATS,
  UNDEFINE,
  VOLUME_INFO,
  XML,
  type AddressSource,
  type PowerMode,
  type StatsGroup,
} from './flags.ts';
export type { NetworkEvent, PoolEvent } from './host-event.ts';
export type { KeepAliveOptions } from './keep-alive.ts';
export { openLink, type Link, type LinkEvents, type LinkListeners, type LinkOptions, type LinkStatus } from './link.ts';
export type { Migration, MigrationParams } from './migration.ts';
export type { NetworkFilters } from './network-filters.ts';
export type { DhcpLease, Networks, NetworkUpdate } from './networks.ts';
export type { HostNode, NodeInfo } from './node.ts';
export type { PoolInfo, Pools, PoolState } from './pools.ts';
export { CALL_CHANNEL, type CallNotice, type CallOptions } from './rpc-channel.ts';
export type { Secrets } from './secrets.ts';
export type {
  AddressType,
  DomainRef,
  NetworkFilterRef,
  NetworkRef,
  PoolRef,
  SecretRef,
  TypedParams,
  TypedValue,
  VolumeRef,
} from './structures.ts';
export type { PkiFiles } from './tls-socket.ts';
export { parseUri, type LibvirtAddress, type SshAddress, type TcpAddress, type TlsAddress, type UnixAddress } from './uri.ts';
export type { VolumeInfo, VolumePart, Volumes } from './volumes.ts';
