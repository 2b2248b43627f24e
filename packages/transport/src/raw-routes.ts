import { UPLOADED_FILES_PATH, UPLOADS_PATH, type ReceiveUpload } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { FastifyInstance } from 'fastify';
import { createReadStream } from 'node:fs';

/** As long as any image: the receiver knows how much was announced. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
/** Of a request that is no upload: until all of it is there. */
const REQUEST_MS = 30_000;

/** HTTP's word for what the domain says. */
const STATUS: Partial<Record<DomainError['code'], number>> = { NOT_FOUND: 404, BAD_USER_INPUT: 400, INVALID_STATE: 409, NO_CAPACITY: 507, UNAVAILABLE: 503 };
export const statusOf = (error: DomainError): number => STATUS[error.code] ?? 500;

/**
 * PUT /uploads/<token>: the body goes as it comes to whoever receives it. The token in the path is the permission: no cookie and
 * no other header counts. `formatError` says what an error looks like.
 */
export function routeUploads(app: FastifyInstance, receive: ReceiveUpload, formatError: (error: DomainError, requestId: string) => unknown): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _body, done) => done(null));
    scope.put<{ Params: { token: string } }>(`${UPLOADS_PATH}/:token`, { bodyLimit: NO_LIMIT }, async (request, reply) => {
      const length = request.headers['content-length'];
      reply.header('cache-control', 'no-store');
      try {
        const receipt = await receive(request.params.token, request.raw, { length: length === undefined ? null : Number(length), requestId: request.id });
        return await reply.code(201).send(receipt);
      } catch (thrown) {
        const error = DomainError.from(thrown);
        if (!request.raw.complete) reply.header('connection', 'close'); // what is still to come is not waited for
        return reply.code(statusOf(error)).send({ errors: [formatError(thrown instanceof DomainError ? thrown : error, request.id)] });
      }
    });
  });
}

/** GET /uploaded-files/<token>: an upload, for the agent whose step knows the token. */
export function routeUploadedFiles(app: FastifyInstance, find: (token: string) => Promise<{ path: string; size: number } | null>): void {
  app.get<{ Params: { token: string } }>(`${UPLOADED_FILES_PATH}/:token`, async (request, reply) => {
    const found = await find(request.params.token);
    if (!found) return reply.code(404).send();
    return reply.header('content-length', found.size).type('application/octet-stream').send(createReadStream(found.path));
  });
}

/**
 * Every request has to be there within half a minute, but uploads, which take as long as they take: their receiver knows when
 * they stall. (Node's own requestTimeout knows no exceptions.)
 */
export function limitRequestTime(app: FastifyInstance, ms = REQUEST_MS): void {
  app.addHook('onRequest', async (request) => {
    if (request.method === 'PUT' && request.url.startsWith(`${UPLOADS_PATH}/`)) return;
    const late = setTimeout(() => {
      if (!request.raw.complete) request.raw.destroy();
    }, ms);
    request.raw.once('close', () => clearTimeout(late));
  });
}
