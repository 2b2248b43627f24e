import fastifyCompress from '@fastify/compress';
import type { FastifyInstance } from 'fastify';

/** In bytes: what is smaller fits into one packet as it is. */
const THRESHOLD = 1_400;

/**
 * Compresses answers for clients that take it; to be called before routes are added. Nothing secret goes out beside what an
 * attacker could choose: browsers send no credentials by themselves here, so BREACH has no victim.
 */
export async function compressAnswers(app: FastifyInstance): Promise<void> {
  await app.register(fastifyCompress, {
    encodings: ['br', 'gzip'],
    threshold: THRESHOLD,
    globalDecompression: false, // a small request that unpacks to a large one
  });
}
