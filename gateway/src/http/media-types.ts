import { MIMEType } from 'node:util';
import type { IncomingHttpHeaders } from 'node:http';
import Negotiator from 'negotiator';
import { RequestFault } from './request-fault.ts';

/**
 * What a GraphQL answer can be sent as: https://graphql.github.io/graphql-over-http/draft/#sec-Media-Types. Under the
 * second, which proxies know nothing of, the status says whether the document could be run; under the first it is 200
 * whenever the request was one. The first is for whoever does not choose.
 */
export const ANSWER_TYPES = ['application/json; charset=utf-8', 'application/graphql-response+json; charset=utf-8'] as const;
export type AnswerType = (typeof ANSWER_TYPES)[number];

/** The type that the client likes best; null if it takes neither. */
export function chooseAnswerType({ accept }: IncomingHttpHeaders): AnswerType | null {
  const chosen = new Negotiator({ headers: { accept } }).mediaType([...ANSWER_TYPES]);
  return ANSWER_TYPES.find((type) => type === chosen) ?? null;
}

/** True for a browser that opens an address, and for nothing that would rather have an answer. */
export const prefersPage = ({ accept }: IncomingHttpHeaders): boolean =>
  new Negotiator({ headers: { accept } }).mediaType([...ANSWER_TYPES, 'text/html']) === 'text/html';

/** 415 for a body that is not JSON in UTF-8, or is compressed. A foreign page can send application/json only after asking. */
export function requireJson(headers: IncomingHttpHeaders): void {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw new RequestFault(415, 'Send the request without compressing it.', { 'accept-encoding': 'identity' });
  const type = parse(headers['content-type']);
  if (type?.essence !== 'application/json') throw new RequestFault(415, 'Send the request as application/json.', { 'accept-post': 'application/json' });
  const charset = type.params.get('charset');
  if (charset !== null && !/^utf-?8$/i.test(charset)) throw new RequestFault(415, 'Send the request in UTF-8.', { 'accept-post': 'application/json; charset=utf-8' });
}

function parse(type: string | undefined): MIMEType | null {
  try {
    return type === undefined ? null : new MIMEType(type);
  } catch {
    return null; // no media type at all
  }
}
