import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { PAGE_POLICY } from './security-headers.ts';

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
  async function send(reply: FastifyReply): Promise<FastifyReply> {
    const page = await readFile(join(directory, 'index.html'), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    return reply
      .header('content-security-policy', PAGE_POLICY)
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
      reply.header('content-security-policy', PAGE_POLICY); // workers have one of their own
      const named = path.includes('/assets/');
      reply.header('cache-control', named ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  } as Parameters<typeof fastifyStatic>[1]);
  return { send };
}
