import type { IncomingHttpHeaders } from 'node:http';
import { RequestFault } from './request-fault.ts';

/** A page elsewhere can set none of these without a preflight, which is answered to allowed origins only. */
const PREFLIGHTED = ['apollo-require-preflight', 'x-apollo-operation-name'] as const;

/** All that a form or an image of a foreign page can send: https://fetch.spec.whatwg.org/#cors-safelisted-request-header */
const SIMPLE_TYPES = /^\s*(?:application\/x-www-form-urlencoded|multipart\/form-data|text\/plain)\s*(?:;|$)/i;

/**
 * Refuses a GET that a foreign page could have made a browser send without asking: its answer is out of the page's
 * reach, but not that it was run, and how long it took. (A POST has to be application/json, which asks.) 400.
 */
export function refuseUnasked(headers: IncomingHttpHeaders): void {
  if (PREFLIGHTED.some((name) => headers[name])) return;
  const type = headers['content-type'];
  if (type !== undefined && !SIMPLE_TYPES.test(type)) return;
  // No page can set Sec-Fetch-*. In mode "cors" a browser names the page's origin, if it is another one:
  // https://fetch.spec.whatwg.org/#append-a-request-origin-header
  if (headers['sec-fetch-mode'] === 'cors' && headers.origin === undefined) return;
  throw new RequestFault(400, 'Send the header "apollo-require-preflight: 1" with a GET: a page elsewhere could have made a browser send this one.');
}
