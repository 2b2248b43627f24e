/**
 * npm run audit:verify [-- --known POSITION:HASH ...] [--file EXPORT | --seal]: reads the whole audit log and says whether any entry was changed,
 * removed, put elsewhere or cut off. `--known`: what an earlier run has said, or a line of the log of NovaCron ("audit log sealed");
 * `--file`: an export instead of the database; `--seal`: if it is whole and was never sealed, it is from now on. Exit code 1 when something is wrong. See docs/audit.md.
 */
import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { sealAudit, verifyAudit, verifyExport, type Place, type Verdict } from '@novacron/audit';
import { postgresPool } from '@novacron/database';
import { LocalError } from '@novacron/local';
import { createSecrets, type Secrets } from '@novacron/secrets';
import pg from 'pg';
import { pino } from 'pino';
import { readEnvironment } from '../app/src/environment.ts';
import { openOwnerDatabase } from './owner-database.ts';

const USAGE = 'usage: npm run audit:verify [-- --known POSITION:HASH ...] [--file EXPORT | --seal]';

interface Arguments {
  known: Place[];
  file: string | undefined;
  seal: boolean;
}

function readArguments(): Arguments {
  try {
    const { values } = parseArgs({ options: { known: { type: 'string', multiple: true }, file: { type: 'string' }, seal: { type: 'boolean', default: false } } });
    return { known: (values.known ?? []).map(readPlace), file: values.file, seal: values.seal };
  } catch (cause) {
    throw new LocalError(USAGE, { cause });
  }
}

function readPlace(text: string): Place {
  const [, position, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (position === undefined || hash === undefined) throw new LocalError(USAGE);
  return { position: Number(position), hash: Buffer.from(hash, 'hex') };
}

async function verifyDatabase({ known, seal }: Arguments): Promise<Verdict> {
  const environment = readEnvironment();
  const { master } = environment.keys;
  const secrets = existsSync(master) ? await createSecrets(master) : null;
  if (secrets === null && seal) throw new LocalError(`There is no master key in ${master}.`);
  if (secrets === null) console.log(`There is no master key in ${master}: the seal is not looked at.`);
  const database = await openOwnerDatabase(environment);
  const client = new pg.Client({ connectionString: database.url });
  try {
    if (secrets && seal) await beginSealing(database.url, secrets);
    await client.connect();
    return await verifyAudit({ reader: client, secrets, known });
  } finally {
    await client.end();
    await database.close();
  }
}

async function beginSealing(databaseUrl: string, secrets: Secrets): Promise<void> {
  const pool = postgresPool(databaseUrl, 'identity', 1);
  try {
    await sealAudit({ pool, secrets, logger: pino({ level: 'silent' }), isFirst: true }); // what is wrong is said below
  } finally {
    await pool.end();
  }
}

async function main(): Promise<void> {
  const wanted = readArguments();
  const { entries, head, sealed, faults } =
    wanted.file === undefined ? await verifyDatabase(wanted) : await verifyExport(createInterface({ input: createReadStream(wanted.file), crlfDelay: Infinity }), wanted.known);
  if (sealed) console.log(`Sealed ${sealed.at.toISOString()} at ${sealed.position}.`);
  console.log(`${entries} entries, up to ${head.position}:${head.hash.toString('hex')}`);
  for (const fault of faults) console.log(`WRONG: ${fault}`);
  console.log(faults.length === 0 ? 'Whole.' : 'This is not what was written.');
  process.exitCode = faults.length === 0 ? 0 : 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof LocalError ? error.message : error);
  process.exitCode = 2;
});
