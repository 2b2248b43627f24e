import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { describeApi, type DescriptionOptions, type OpenApiDocument } from './openapi.ts';
import type { RestApi } from './api.ts';

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

/** The description of the API at /api/v1/openapi.json, and Swagger UI over it at /api/docs/. */
export async function routeDocs(scope: FastifyInstance, api: () => RestApi, options: DescriptionOptions): Promise<void> {
  let described: { api: RestApi; document: OpenApiDocument } | null = null;
  scope.get('/v1/openapi.json', async () => {
    const present = api();
    if (described?.api !== present) described = { api: present, document: describeApi(present, options) };
    return described.document;
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
