/** How much is allowed. 0: as much as anyone likes. */
export interface RateLimitSettings {
  /** Attempts to sign in, for each address; apart from those, as many others that hash a password, and twelve times as many users, API tokens and SSH keys made. */
  loginsPerMinute: number;
  /** Accounts made, and mails asked for by who has forgotten a password, for each address. */
  registrationsPerMinute: number;
  /** What operations cost, for each user; for each address where nobody has signed in. A simple query costs one point. */
  pointsPerMinute: number;
  /** WebSocket and event-stream connections at once. */
  connectionsPerUser: number;
  /** The same where nobody has signed in (yet). */
  connectionsPerAddress: number;
  /** Subscriptions at once, and other operations that a connection has under way. */
  subscriptionsPerConnection: number;
  subscriptionsPerUser: number;
  subscriptionsPerTenant: number;
}

/** For a graph of other people's, and for tests of something else. */
export const UNLIMITED: RateLimitSettings = {
  loginsPerMinute: 0,
  registrationsPerMinute: 0,
  pointsPerMinute: 0,
  connectionsPerUser: 0,
  connectionsPerAddress: 0,
  subscriptionsPerConnection: 0,
  subscriptionsPerUser: 0,
  subscriptionsPerTenant: 0,
};
