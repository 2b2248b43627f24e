/**
 * npm run dev: as npm start, and again whenever a file changes. PostgreSQL, Redis and libvirtd stay up in between, so a
 * change is live in under two seconds.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { prepareDataDirectory } from '@novacron/local';
import { readEnvironment } from '../app/src/environment.ts';
import { startLocalMachine } from '../app/src/local-machine.ts';
import { env, root } from './checks.ts';

const environment = readEnvironment();
prepareDataDirectory(environment.data);
const machine = await startLocalMachine(environment, (message) => console.log(`  ${message} ...`));

const child = spawn('node', ['--watch', '--watch-preserve-output', 'app/src/main.ts'], {
  cwd: root,
  stdio: 'inherit',
  env: {
    ...env,
    DATABASE_URL: machine.databaseUrl,
    REDIS_URL: machine.redisUrl,
    ...(machine.libvirt.uri === null ? {} : { NOVACRON_LIBVIRT_URI: machine.libvirt.uri }),
  },
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
await once(child, 'exit');
await machine.close();
process.exit(0);
