/**
 * What identity and the gateways tell one another of sessions in Redis. An API token counts as the session that its viewer
 * names. One hash tag, so that a cluster keeps them together: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
 */

/** Sorted set, by identity: a session that has ended -> when, in ms, for as long as one of its tokens may be about. */
export const ENDED_SESSIONS_KEY = 'novacron.{sessions}.ended';
/** String, by identity: the run id of the server on which that set is complete. A set that was wiped, or is an old copy, is not. */
export const KNOWN_TO_KEY = 'novacron.{sessions}.known-to';
/** Sorted set, by gateways: a session -> when it was last used, in ms. */
export const USED_SESSIONS_KEY = 'novacron.{sessions}.used';
