import { DomainError } from '@novacron/core';
import { GaveUp } from '@novacron/operations';

const refusal = (message: string, cause?: unknown): DomainError => new DomainError('BAD_USER_INPUT', message, { field: 'url', cause });

/** The connection broke off while the body was read, after `received` bytes of it. */
export class BrokenOff extends Error {
  readonly received: number;
  constructor(received: number, cause: unknown) {
    super('The connection broke off.', { cause });
    this.received = received;
  }
}

/** Statuses that may be others in a moment. Source: RFC 9110, 15.5 and 15.6. */
const mayPass = (status: number): boolean => status === 408 || status === 425 || status === 429 || status >= 500;

/** What it means that the server did not send the file: to be tried again, or not. */
export const statusFault = (status: number): Error =>
  mayPass(status) ? new Error(`The server answered ${status}.`) : refusal(`The server does not hand out the file: it answered ${status}.`);

/** Source: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const CERTIFICATE = /CERT|^ERR_(TLS|SSL)_|^UNABLE_TO_/;

/** What can't be better the next time is the URL's fault; null for everything else. */
export function lastingFault(error: unknown): DomainError | null {
  if (error instanceof DomainError) return error;
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const code = (at as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOTFOUND') return refusal("The URL's host has no address.", error);
    if (CERTIFICATE.test(code)) return refusal("The server's certificate can't be trusted.", error);
    if (code === 'UND_ERR_HEADERS_OVERFLOW' || at.name === 'HTTPParserError') return refusal('The server does not speak HTTP.', error);
  }
  return null;
}

/** After the last try. Another may be made by whoever asks again; the engine need not. */
export const gaveUp = (error: unknown): DomainError =>
  new GaveUp('UNAVAILABLE', `The file could not be fetched: ${wordsFor(error)}`, { field: 'url', cause: error });

/** What has been seen, without addresses and ports: they may be of a network that the caller has no business in. */
function wordsFor(error: unknown): string {
  const codes = new Set<unknown>();
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) codes.add((at as NodeJS.ErrnoException).code);
  if (codes.has('UND_ERR_BODY_TIMEOUT') || codes.has('UND_ERR_HEADERS_TIMEOUT')) return 'the server stalls.';
  if (codes.has('UND_ERR_CONNECT_TIMEOUT') || codes.has('ECONNREFUSED') || codes.has('EHOSTUNREACH') || codes.has('ENETUNREACH') || codes.has('ETIMEDOUT')) return "the server can't be reached.";
  if (codes.has('EAI_AGAIN')) return 'no name server answers.';
  if (error instanceof Error && error.message.startsWith('The server answered')) return `${error.message[0]?.toLowerCase()}${error.message.slice(1)}`;
  return 'the connection breaks off again and again.';
}
