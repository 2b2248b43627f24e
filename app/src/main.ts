/** `npm start`: reads what was asked for, starts it, and stops it when it is told to. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DomainError, isConnectionLoss } from '@novacron/core';
import { claimDataDirectory, LocalError, prepareDataDirectory } from '@novacron/local';
import type { FirstAdministrator } from '@novacron/service-identity';
import { pino, type Logger } from 'pino';
import { HELP, parseArguments, ROLES, type Arguments } from './arguments.ts';
import { EnvironmentError, readEnvironment, type Environment } from './environment.ts';
import { startLocalMachine, type LocalMachine } from './local-machine.ts';
import { loginsOf, startSystem, type System } from './system.ts';
import { startTracing } from './tracing/start.ts';

const startedAt = performance.now();
const say = (line = ''): void => void process.stdout.write(`${line}\n`);

/** npm passes on the Ctrl-C that the terminal has sent us already: what follows so closely is the same wish. */
const SAME_WISH_MS = 2_000;

/** Resolves when someone wants us to stop; a later second time, we end at once. */
const stopWanted = new Promise<void>((resolve) => {
  let askedAt: number | null = null;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (askedAt !== null && performance.now() - askedAt > SAME_WISH_MS) process.exit(130);
      askedAt ??= performance.now();
      resolve();
    });
  }
});

async function main(): Promise<void> {
  const wanted = parseArguments(process.argv.slice(2));
  if (wanted.help) return say(HELP.trimEnd());
  const environment = readEnvironment();
  await (wanted.roles.length === 0 ? runEmbedded(environment) : runRoles(environment, wanted));
}

/** Everything on this machine. */
async function runEmbedded(environment: Environment): Promise<void> {
  prepareDataDirectory(environment.data);
  const claim = await claimDataDirectory(environment.data);
  const logFile = join(environment.data, 'novacron.log');
  const destination = pino.destination({ dest: logFile, append: true, mode: 0o600, sync: false });
  const logger = pino({ level: environment.logLevel }, destination);
  const tracing = await startTracing(environment.tracing, logger);
  for (const directory of environment.bootDirectories) makeIfOurs(directory, environment.data);
  let machine: LocalMachine | null = null;
  let system: System | null = null;
  try {
    machine = await startLocalMachine(environment, (message) => say(`  ${message} ...`));
    say('  Starting the services and the gateway ...');
    system = await startSystem({ ...machine, environment, roles: ROLES, agentHost: null, logger });
    if (machine.libvirt.uri !== null && system.vms) {
      say('  Getting to know this host ...');
      await system.vms.registerLocalHost(environment.hostName, machine.libvirt.uri);
    }
    welcome(environment, system, machine, logFile);
    await stopWanted;
    say('\nStopping. Guests keep running.');
  } finally {
    await system?.close();
    await machine?.close();
    await tracing.close();
    await claim.release();
  }
}

/** The boot directory is made for the newcomer; one that someone names must be there. */
function makeIfOurs(directory: string, data: string): void {
  if (directory.startsWith(data)) mkdirSync(directory, { recursive: true, mode: 0o755 });
}

/** Some roles, as parts of a fleet: PostgreSQL and Redis are elsewhere, logs go to stdout for the supervisor. */
async function runRoles(environment: Environment, { roles, host }: Arguments): Promise<void> {
  const { databaseUrl, redisUrl } = environment;
  const missing = loginsOf(roles).filter((login) => databaseUrl === null && environment.databaseUrls[login] === null);
  if (missing.length > 0 || redisUrl === null) {
    throw new EnvironmentError(
      'With --roles, REDIS_URL says where Redis is, and DATABASE_URL where PostgreSQL is: or, for a process that must not know ' +
        `its owner's password, ${loginsOf(roles).map((login) => `DATABASE_URL_${login.toUpperCase()}`).join(', ')}.`,
    );
  }
  const logger: Logger = pino({ level: environment.logLevel });
  const tracing = await startTracing(environment.tracing, logger);
  const { proveAcceleration } = await import('@novacron/local');
  let proof: Promise<boolean> | undefined;
  const isAccelerated = () =>
    (proof ??= proveAcceleration({ dir: join(environment.data, 'acceleration') }).then(({ accelerated }) => accelerated));
  const system = await startSystem({ environment, databaseUrl, redisUrl, roles, agentHost: host, logger, isAccelerated });
  logger.info({ roles, host, url: system.url, subgraphUrl: system.subgraphUrl }, 'ready');
  if (system.administrator) introduce(system.administrator);
  await stopWanted;
  logger.info('stopping');
  await system.close();
  await tracing.close();
}

function welcome(environment: Environment, system: System, machine: LocalMachine, logFile: string): void {
  const { administrator } = system;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  say(`
NovaCron is ready after ${seconds} s.

  Playground   ${system.url}/
  GraphQL      ${system.url}/graphql   (WebSocket: the same path)
  This host    ${machine.libvirt.uri === null ? `none: ${machine.libvirt.reason}` : `${environment.hostName}, ${machine.libvirt.uri}`}
  Boot files   ${environment.bootDirectories.join(':')}
  Log          ${logFile}`);
  if (administrator) introduce(administrator);
  say('\nCtrl-C stops all of it; guests keep running.');
}

/** Once, to whoever reads our output: in no log, and never again. */
function introduce({ email, password, generated }: FirstAdministrator): void {
  say(`
  Administrator${generated ? ' (this password is shown once)' : ''}
    e-mail     ${email}
    password   ${generated ? password : 'as in NOVACRON_ADMIN_PASSWORD'}`);
}

main().then(
  () => process.exit(0), // what libraries keep open must not keep us
  (error: unknown) => {
    process.stderr.write(`\n${explain(error)}\n`);
    process.exit(1);
  },
);

/** One sentence for what a person can do something about; a stack for what is our own fault. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof LocalError || error instanceof EnvironmentError || error instanceof DomainError) return error.message;
  if ('code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')) return error.message;
  if (isConnectionLoss(error)) return `PostgreSQL (DATABASE_URL) can't be reached: ${error.message}`;
  return error.stack ?? error.message;
}
