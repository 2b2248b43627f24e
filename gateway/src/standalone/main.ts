/** `npm run gateway`: serves one supergraph until it is told to stop. */
import { once } from 'node:events';
import { enableCompileCache } from 'node:module';
import { resolve } from 'node:path';
import { DomainError } from '@novacron/core';
import { pino } from 'pino';
import { HELP, parseArguments } from './arguments.ts';

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** npm passes on the Ctrl-C that the terminal has sent us already: what comes again is the same wish, and changes nothing. */
const stopWanted = Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => once(process, signal)));

async function main(): Promise<void> {
  const { help, ...wanted } = parseArguments(process.argv.slice(2));
  if (help) return say(HELP.trimEnd());
  enableCompileCache(); // a third of the start would be compiling Apollo's packages
  const { startStandaloneGateway } = await import('./server.ts');
  const logger = pino({ level: process.env['NOVACRON_LOG_LEVEL'] || 'warn' }, pino.destination(2));
  const { npm_lifecycle_event: script, INIT_CWD = '' } = process.env;
  // npm begins in the package's directory, and says from which one it was called
  const supergraphFile = resolve(script === 'gateway' ? INIT_CWD : '', wanted.supergraphFile);
  const gateway = await startStandaloneGateway({ ...wanted, supergraphFile }, logger);
  say(`${gateway.url}/graphql serves ${wanted.supergraphFile} after ${(performance.now() / 1_000).toFixed(1)} s:`);
  for (const { name, url } of gateway.subgraphs) say(`  ${name}  ${url}`);
  await stopWanted;
  await gateway.close();
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    const isForPeople = error instanceof DomainError || (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
    process.stderr.write(`${isForPeople ? error.message : String(error instanceof Error ? error.stack : error)}\n`);
    process.exit(1);
  },
);
