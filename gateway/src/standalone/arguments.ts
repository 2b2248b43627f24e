import { parseArgs } from 'node:util';
import { DomainError } from '@novacron/core';

export interface Arguments {
  help: boolean;
  supergraphFile: string;
  host: string;
  port: number;
  /** Subgraph -> where it is asked, instead of where the supergraph says. */
  subgraphUrls: ReadonlyMap<string, string>;
}

export const HELP = `A gateway for any federation 2 supergraph, without anything else of NovaCron.

  npm run gateway -- --supergraph FILE [--port N] [--host ADDRESS] [--subgraph NAME=URL ...]

  --supergraph FILE    the composed supergraph; what the file holds later is served without a restart
  --port N             4000 unless told; 0: the system chooses
  --host ADDRESS       127.0.0.1 unless told
  --subgraph NAME=URL  where a subgraph is asked, instead of where the supergraph says
  --help               this

  /graphql             queries and mutations, by POST or GET
  /health, /ready      for supervisors
  /metrics             for Prometheus

There is no authentication: whoever reaches the port may ask. No header of a client's is passed on to the subgraphs. Ctrl-C
or SIGTERM ends it once requests under way are answered. NOVACRON_LOG_LEVEL (warn) says how much is logged.
`;

const wrong = (message: string): DomainError => new DomainError('BAD_USER_INPUT', message);

/** What was asked for. Throws a sentence for the person at the terminal. */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      supergraph: { type: 'string', default: '' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '4000' },
      subgraph: { type: 'string', multiple: true, default: [] },
    },
    strict: true,
  });
  if (values.supergraph === '' && !values.help) throw wrong('--supergraph says which file the supergraph is in.');
  const port = /^\d{1,5}$/.test(values.port) ? Number(values.port) : Number.NaN;
  if (!(port <= 65_535)) throw wrong(`--port is a number up to 65535, not "${values.port}".`);
  const subgraphUrls = new Map<string, string>();
  for (const pair of values.subgraph) {
    const [, name = '', url = ''] = /^([^=]+)=(.+)$/s.exec(pair) ?? [];
    if (!isHttpUrl(url)) throw wrong(`--subgraph is a name and its address, like reviews=http://127.0.0.1:4001/graphql, not "${pair}".`);
    if (subgraphUrls.has(name)) throw wrong(`--subgraph names "${name}" twice.`);
    subgraphUrls.set(name, url);
  }
  return { help: values.help, supergraphFile: values.supergraph, host: values.host, port, subgraphUrls };
}

export const isHttpUrl = (text: string): boolean => ['http:', 'https:'].includes(URL.parse(text)?.protocol ?? '');
