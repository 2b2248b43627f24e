import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';

/** Nothing from elsewhere, no script that is not a file of ours, in no frame. The editor writes its styles itself. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  "img-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const NOT_BUILT = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>NovaCron</title></head>
<body><h1>The playground is not built yet</h1><p>Run <code>npm start</code>, which builds it. The graph itself answers at <code>/graphql</code>.</p></body></html>
`;

export interface Playground {
  send(reply: FastifyReply): Promise<FastifyReply>;
}

/**
 * The playground at /, /playground and for browsers at /graphql: one page and its files below /playground/, which have
 * their content's hash in their names.
 */
export async function routePlayground(app: FastifyInstance, directory: string): Promise<Playground> {
  const guard = (reply: FastifyReply) =>
    reply
      .header('content-security-policy', POLICY)
      .header('x-frame-options', 'DENY')
      .header('referrer-policy', 'no-referrer')
      .header('cross-origin-opener-policy', 'same-origin');

  async function send(reply: FastifyReply): Promise<FastifyReply> {
    const page = await readFile(join(directory, 'index.html'), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    return guard(reply)
      .code(page === null ? 503 : 200)
      .header('cache-control', 'no-cache')
      .header('vary', 'accept')
      .type('text/html; charset=utf-8')
      .send(page ?? NOT_BUILT);
  }

  for (const path of ['/', '/playground', '/playground/']) app.get(path, (_request, reply) => send(reply));
  await app.register(fastifyStatic, {
    root: directory,
    prefix: '/playground/',
    index: false,
    wildcard: true,
    decorateReply: false,
    suppressRootPathWarning: true,
    cacheControl: false,
    setHeaders(reply, path) {
      guard(reply);
      const named = path.includes('/assets/');
      reply.header('cache-control', named ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  } as Parameters<typeof fastifyStatic>[1]);
  return { send };
}
