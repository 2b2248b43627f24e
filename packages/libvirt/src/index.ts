export { connect } from './connection.ts';
export type { Connection, ConnectOptions, DomainCapabilitiesQuery, Version } from './connection.ts';
export type {
  AgentLifecycleEvent,
  DomainEventKind,
  DomainEvents,
  LifecycleEvent,
  RebootEvent,
} from './domain-event.ts';
export type { EventSubscription } from './domain-event-feed.ts';
export { describeState, type DomainState, type DomainStateName } from './domain-state.ts';
export type { DomainFilter, DomainInfo, Domains, DomainStats, MetadataSlot } from './domains.ts';
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
export {
  AFFECT,
  DEFINE,
  DESTROY,
  LIST_DOMAINS,
  START,
  STATS,
  UNDEFINE,
  XML,
  type PowerMode,
  type StatsGroup,
} from './flags.ts';
export type { KeepAliveOptions } from './keep-alive.ts';
export { openLink, type DomainEventListeners, type Link, type LinkOptions, type LinkStatus } from './link.ts';
export type { HostNode, NodeInfo } from './node.ts';
export type { CallOptions } from './rpc-channel.ts';
export type { DomainRef, TypedParams, TypedValue } from './structures.ts';
export type { PkiFiles } from './tls-socket.ts';
export { parseUri, type LibvirtAddress, type SshAddress, type TcpAddress, type TlsAddress, type UnixAddress } from './uri.ts';
