import type { GraphQLError, GraphQLSchema } from 'graphql';
import type { RequestContext, Viewer } from './viewer.ts';

/**
 * A service's subgraph, as the composition root sees it. Steps, reconcilers and other workers are offered
 * beside it by the service's door (services/<name>/src/service.ts).
 */
export interface Subgraph {
  readonly name: string;
  readonly schema: GraphQLSchema;
  /** What resolvers get: the request's context plus the service's own loaders, made per request. */
  createContext(request: RequestContext): object;
  /** Is told which errors an operation was answered with, before they take their public form. */
  observe?(request: RequestContext, errors: readonly GraphQLError[]): void;
}

/** How the secret of an API token begins: nobody but identity can tell more of one. */
export const API_TOKEN_PREFIX = 'nc_';

/** What identity offers the gateway: the only authority on who a token stands for. */
export interface Authenticator {
  /**
   * The viewer that an access token or an API token stands for, with the roles it has now. `address`: the client's, since an
   * API token may be good from some addresses only.
   * `issuedAt`: when the token was made; old ones are taken only as long as Redis can say what has ended (docs/adr/0026).
   * UNAUTHENTICATED when the token is malformed, forged, expired, not good from there or its session has ended.
   */
  authenticate(token: string, address: string | null): Promise<{ viewer: Viewer; issuedAt: Date; expiresAt: Date }>;
  /** The public keys of access tokens (RFC 7517). */
  jwks(): Promise<{ keys: object[] }>;
}
