import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';
import { PAGES } from '../../account/pages.js';
import { PAGE_POLICY } from './security-headers.ts';

const DIRECTORY = new URL('../../account/', import.meta.url);
const FILES = { 'account.js': 'text/javascript; charset=utf-8', 'pages.js': 'text/javascript; charset=utf-8', 'account.css': 'text/css; charset=utf-8' } as const;

/**
 * The pages below /account/ that links in mails lead to: one page and its files, as they are. A link's token stands in its fragment,
 * which never comes here; what somebody does about it is a mutation like any other.
 */
export async function routeAccountPages(app: FastifyInstance): Promise<void> {
  const route = async (path: string, file: string, type: string): Promise<void> => {
    const content = await readFile(new URL(file, DIRECTORY));
    app.get(`/account/${path}`, (_request, reply) =>
      reply.header('content-security-policy', PAGE_POLICY).header('cache-control', 'no-cache').type(type).send(content),
    );
  };
  for (const page of Object.keys(PAGES)) await route(page, 'index.html', 'text/html; charset=utf-8');
  for (const [file, type] of Object.entries(FILES)) await route(file, file, type);
}
