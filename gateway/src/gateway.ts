import type { Authenticator } from '@novacron/contracts';
import type { EventLog } from '@novacron/events';
import type { DataSource } from '@novacron/transport';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

export { composeSupergraph } from './compose.ts';
export { checkKeys } from './entity-keys.ts';

export interface GatewayOptions {
  /** The composed graph: gateway/supergraph.graphql. */
  supergraphSdl: string;
  /** Every subgraph of the supergraph but `events`, which the gateway answers itself. Closed by whoever made them. */
  dataSources: Readonly<Record<string, DataSource>>;
  authenticator: Authenticator;
  events: EventLog;
  /** For metrics, which are published; the gateway opens a second connection for listening. */
  redis: Redis;
  logger: Logger;
  host: string;
  /** 0: the system chooses. */
  port: number;
  /** Origins of browser applications elsewhere: `https://dashboard.example`. The gateway's own is always allowed. */
  allowedOrigins?: readonly string[];
  /** The built playground: gateway/playground/dist. */
  playgroundDir: string;
}

export interface Gateway {
  url: string;
  port: number;
  /** Completes every subscription, closes sockets with 1001, waits for requests in flight. */
  close(): Promise<void>;
}

/**
 * The front door: GraphQL over HTTP and WebSocket at /graphql, the playground, /health, /ready, /metrics and the public
 * keys. Fails with one clear sentence when the port is taken or a subgraph has no data source.
 */
export async function createGateway(_options: GatewayOptions): Promise<Gateway> {
  throw new Error('not there yet');
}
