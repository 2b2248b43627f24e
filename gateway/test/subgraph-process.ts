/** One of the small services in a process of its own, to be killed: NAME, PORT and PUBLIC_KEY (PEM) in the environment. */
import { createPublicKey } from 'node:crypto';
import { serveSubgraphs } from '@novacron/transport';
import { pino } from 'pino';
import { smallGraph } from './small-graph.ts';

const { NAME, PORT, PUBLIC_KEY = '' } = process.env;
const { subgraphs } = smallGraph();
const { port } = await serveSubgraphs({
  subgraphs: subgraphs.filter(({ name }) => name === NAME),
  host: '127.0.0.1',
  port: Number(PORT),
  internalPublicKey: createPublicKey(PUBLIC_KEY),
  logger: pino({ level: 'silent' }),
});
process.stdout.write(`${port}\n`);
