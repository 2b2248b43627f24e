/**
 * Connects once and says how that went, as JSON: run inside a host's namespaces, from where its network can be reached.
 * connect-once.ts URI [CA CERT KEY]
 */
import { connect, isClientError } from '../src/index.ts';

export type Outcome = { connected: string } | { refused: string; message: string; ms: number };

const [uri = '', ca = '', cert = '', key = ''] = process.argv.slice(2);
const startedAt = performance.now();
const outcome = await connect({ uri, defaultDeadlineMs: 10_000, ...(ca !== '' && { pki: { ca, cert, key } }) }).then(
  async (connection): Promise<Outcome> => {
    const connected = `${await connection.hostname()} ${await connection.uri()}`;
    await connection.close();
    return { connected };
  },
  (error: unknown): Outcome => {
    if (!isClientError(error)) throw error;
    const { kind: refused, message } = error;
    return { refused, message, ms: Math.round(performance.now() - startedAt) };
  },
);
process.stdout.write(JSON.stringify(outcome));
