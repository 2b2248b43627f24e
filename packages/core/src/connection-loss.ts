/** SQLSTATEs by which PostgreSQL says that it goes, has gone or lets nobody in. Source: https://www.postgresql.org/docs/18/errcodes-appendix.html */
const SQLSTATES = /^(08\w{3}|57P0[1-5]|53300)$/;
/** Prisma's, for a server that can't be reached or has hung up. Source: https://www.prisma.io/docs/orm/reference/error-reference */
const PRISMA_CODES = /^(P1001|P1002|P1008|P1017|P2024)$/;
/** What a driver adapter of Prisma's says of it where there is no SQLSTATE. Source: @prisma/driver-adapter-utils, the type Error. */
const ADAPTER_KINDS = new Set<unknown>(['ConnectionClosed', 'DatabaseNotReachable', 'SocketTimeout', 'TooManyConnections']);
/**
 * What has no code of its own. Node: "connect ECONNREFUSED ...", "read ECONNRESET", "write EPIPE". brianc/node-postgres,
 * packages/pg/lib/client.js and packages/pg-pool/index.js: all the others.
 */
const WORDS =
  /\b(connect|read|write) E[A-Z]+\b|\bgetaddrinfo E[A-Z_]+\b|^Connection terminated\b|^Client has encountered a connection error\b|^timeout exceeded when trying to connect$|^Query read timeout$/m;

/** True for an error that says no more than that a server of ours could not be reached, or that it went away meanwhile. */
export function isConnectionLoss(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Object && depth < 6; depth += 1) {
    const fault = at as { code?: unknown; originalCode?: unknown; message?: unknown; kind?: unknown; cause?: unknown; meta?: { driverAdapterError?: unknown } }; // read as what it may be
    const codes = [fault.originalCode, fault.code].filter((code) => typeof code === 'string');
    if (ADAPTER_KINDS.has(fault.kind)) return true;
    if (codes.some((code) => SQLSTATES.test(code) || PRISMA_CODES.test(code))) return true;
    if (typeof fault.message === 'string' && WORDS.test(fault.message)) return true;
    at = fault.meta?.driverAdapterError ?? fault.cause;
  }
  return false;
}
