import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { FastifyInstance } from 'fastify';
import type { RestApi } from './api.ts';
import { describeApi, type DescriptionOptions, type OpenApiDocument } from './openapi.ts';
import { send, type Rest } from './rest.ts';

const OURS = join(import.meta.dirname, 'docs');
const SWAGGER_UI = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')));
const FILES: ReadonlySet<string> = new Set(['/', '/index.html', '/start.js', '/swagger-ui.css', '/swagger-ui-bundle.js', '/favicon-32x32.png']);

/** Nothing from elsewhere, and no script or style that is not a file of ours. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export interface DocsOptions<Context> extends DescriptionOptions {
  /** Who may read the graph's schema may read this, and nobody else: everyone, unless told. */
  mayIntrospect?: ((context: Context) => boolean) | undefined;
}

/** The description of the API at /api/v1/openapi.json, and Swagger UI over it at /api/docs/. */
export async function routeDocs<Context extends { viewer: Viewer | null }>(scope: FastifyInstance, rest: Rest<Context>, { mayIntrospect = () => true, ...options }: DocsOptions<Context>): Promise<void> {
  let described: { api: RestApi; document: OpenApiDocument } | null = null;

  function describe(): OpenApiDocument {
    const api = rest.api();
    if (described?.api !== api) described = { api, document: describeApi(api, options) };
    return described.document;
  }

  scope.route({
    method: 'GET',
    url: '/v1/openapi.json',
    async handler(request, reply) {
      const context = await rest.contextOf(request);
      if (!mayIntrospect(context)) throw new DomainError(context.viewer === null ? 'UNAUTHENTICATED' : 'FORBIDDEN', 'You may not read the description of this API.');
      return send(reply, { status: 200, headers: { 'content-type': 'application/json; charset=utf-8' }, body: describe() });
    },
  });

  scope.get('/docs', async (_request, reply) => reply.redirect('docs/', 308));
  await scope.register(fastifyStatic, {
    root: [OURS, SWAGGER_UI],
    prefix: '/docs/',
    decorateReply: false,
    allowedPath: (path: string) => FILES.has(path),
    setHeaders: (reply) => void reply.header('content-security-policy', POLICY),
  });
}
