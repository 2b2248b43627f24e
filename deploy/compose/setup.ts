/**
 * Before the roles start: makes tables, logins and keys, and gives each role what only it may know. /setup/<role> is the
 * volume that the role sees as NOVACRON_DATA. Idempotent: keys that are there stay.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { migrate, serviceDatabaseUrl } from '@novacron/database';
import { loadOrCreateMasterKeys } from '@novacron/secrets';
import { loadOrCreateInternalKeys } from '@novacron/transport';
import { ROLES, type Role } from '../../app/src/arguments.ts';
import { readEnvironment } from '../../app/src/environment.ts';
import { loginsOf } from '../../app/src/system.ts';

/** Those that open what is sealed in the database. */
const HOLD_MASTER_KEY: readonly Role[] = ['vms', 'storage', 'agent'];

const place = (role: Role, ...path: string[]): string => join('/setup', role, ...path);

/** Whole or not at all, for its owner alone. */
function write(file: string, content: string | Buffer): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, content, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** A line of a file for node --env-file, which knows no escapes. */
function line(name: string, value: string): string {
  if (/['\n]/.test(value)) throw new Error(`${name} has a quote or a line break in it, which it can't have here.`);
  return `${name}='${value}'\n`;
}

/** A key that differs was used: what it sealed, or what trusts it, would be lost with it. */
function copyKey(from: string, to: string): void {
  if (existsSync(to) && !readFileSync(from).equals(readFileSync(to))) {
    throw new Error(`${from} and ${to} differ: one of these volumes is of another installation. Bring back the one that is lost.`);
  }
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  copyFileSync(from, to);
}

/** Master keys are changed in steps (docs/secrets.md): files that have one in common are of one installation. */
async function copyMasterKeys(from: string, to: string): Promise<void> {
  const keys = await loadOrCreateMasterKeys(from);
  const known = existsSync(to) ? await loadOrCreateMasterKeys(to) : keys;
  if (known.some((key) => keys.some((other) => other.equals(key)))) write(to, readFileSync(from));
  else copyKey(from, to);
  if (existsSync(`${from}.next`)) write(`${to}.next`, readFileSync(`${from}.next`));
  else rmSync(`${to}.next`, { force: true });
}

const { databaseUrl, redisUrl, administrator } = readEnvironment();
if (databaseUrl === null || redisUrl === null || administrator.password === undefined) {
  throw new Error('DATABASE_URL, REDIS_URL and NOVACRON_ADMIN_PASSWORD must be set.');
}
const applied = await migrate(databaseUrl);

for (const role of ROLES) {
  const logins = loginsOf([role]).map((login) => line(`DATABASE_URL_${login.toUpperCase()}`, serviceDatabaseUrl(databaseUrl, login)));
  const password = role === 'identity' ? line('NOVACRON_ADMIN_PASSWORD', administrator.password) : '';
  write(place(role, 'role.env'), `${line('REDIS_URL', redisUrl)}${logins.join('')}${password}`);
}

await loadOrCreateInternalKeys(place('gateway', 'keys'));
for (const role of ROLES.filter((one) => one !== 'gateway' && one !== 'agent')) {
  copyKey(place('gateway', 'keys/gateway.pub'), place(role, 'keys/gateway.pub'));
}

for (const role of HOLD_MASTER_KEY) await copyMasterKeys(place('identity', 'keys/master.key'), place(role, 'keys/master.key'));

// libvirt's test driver boots nothing, yet a VM without disks names a kernel, and an agent looks for it.
write(place('agent', 'boot/nothing'), '');

process.stdout.write(`${applied.length} migrations applied; every role has its login and its keys.\n`);
