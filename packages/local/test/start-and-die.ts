/** Starts a server and dies by kill -9, as a crash of NovaCron would: start-and-die.ts KIND DIRECTORY */
import { startLibvirtd } from '../src/libvirtd.ts';
import { startPostgres } from '../src/postgres.ts';
import { startRedis } from '../src/redis.ts';

const [kind, dir = ''] = process.argv.slice(2);
const start = { libvirtd: startLibvirtd, postgres: startPostgres, redis: startRedis }[kind ?? ''];
if (start === undefined) throw new Error(`There is no server of the kind ${kind}.`);
const server = await start({ dir });
process.stdout.write(JSON.stringify(server), () => process.kill(process.pid, 'SIGKILL'));
