import type { FastifyReply } from 'fastify';

/** Names a header of the request that the answer depends on, beside those that were named before. */
export function addVary(reply: FastifyReply, name: string): void {
  const named = reply.getHeader('vary');
  reply.header('vary', named === undefined ? name : `${String(named)}, ${name}`);
}
