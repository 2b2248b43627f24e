import { UPLOADS_PATH, type ReceiveUpload, type UploadReceipt } from '@novacron/contracts';
import { DomainError, ERROR_CODES, type ErrorCode } from '@novacron/core';
import type { Logger } from 'pino';
import { Agent, request } from 'undici';

const CONNECT_TIMEOUT_MS = 3_000;
/** After the last byte the file is looked at and its operation begun: no more. */
const ANSWER_MS = 60_000;

interface Refused {
  errors?: { message?: unknown; extensions?: { code?: unknown; field?: unknown; retryable?: unknown } }[];
}

/** Passes uploads on to the storage role in another process, which answers at this URL. */
export function createHttpUploads({ url, logger }: { url: string; logger: Logger }): { receive: ReceiveUpload; close(): Promise<void> } {
  const agent = new Agent({ connect: { timeout: CONNECT_TIMEOUT_MS }, headersTimeout: 0, bodyTimeout: ANSWER_MS });
  return {
    async receive(token, body, { length, requestId }) {
      try {
        const { statusCode, body: answer } = await request(`${url}${UPLOADS_PATH}/${encodeURIComponent(token)}`, {
          method: 'PUT',
          dispatcher: agent,
          headers: { 'x-request-id': requestId, ...(length === null ? {} : { 'content-length': String(length) }) },
          body,
        });
        const content: unknown = await answer.json();
        if (statusCode === 201) return content as UploadReceipt; // routeUploads answers nothing else
        throw refusalOf(content as Refused);
      } catch (cause) {
        if (cause instanceof DomainError) throw cause;
        logger.error({ err: cause, requestId, subgraph: 'storage' }, 'a service can not be reached');
        throw new DomainError('UNAVAILABLE', 'The service "storage" can\'t be reached.', { cause });
      }
    },
    close: () => agent.destroy(),
  };
}

function refusalOf({ errors }: Refused): DomainError {
  const { message, extensions } = errors?.[0] ?? {};
  const code: ErrorCode = ERROR_CODES.find((known) => known === extensions?.code) ?? 'INTERNAL';
  return new DomainError(code, String(message ?? 'Something went wrong inside NovaCron.'), {
    ...(typeof extensions?.field === 'string' ? { field: extensions.field } : {}),
    retryable: extensions?.retryable === true,
  });
}
