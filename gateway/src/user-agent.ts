import type { IncomingHttpHeaders } from 'node:http';

/** Longer than any browser's; what a client says about itself ends up in rows and tokens. */
const LONGEST = 512;

/** What the client says it is. */
export const userAgentOf = (headers: IncomingHttpHeaders): string | null => headers['user-agent']?.slice(0, LONGEST) ?? null;
