/**
 * npm run audit:verify [-- --known POSITION:HASH ...] [--file EXPORT]: reads the whole audit log and says whether any entry was changed,
 * removed, put elsewhere or cut off. `--known`: what an earlier run has said, or a line of the log of NovaCron ("audit log sealed");
 * `--file`: an export instead of the database. Exit code 1 when something is wrong. See docs/audit.md.
 */
import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { verifyAudit, verifyExport, type Place, type Verdict } from '@novacron/audit';
import { LocalError } from '@novacron/local';
import { createSecrets } from '@novacron/secrets';
import pg from 'pg';
import { readEnvironment } from '../app/src/environment.ts';
import { openOwnerDatabase } from './owner-database.ts';

const USAGE = 'usage: npm run audit:verify [-- --known POSITION:HASH ...] [--file EXPORT]';

interface Arguments {
  known: Place[];
  file: string | undefined;
}

function readArguments(): Arguments {
  try {
    const { values } = parseArgs({ options: { known: { type: 'string', multiple: true }, file: { type: 'string' } } });
    return { known: (values.known ?? []).map(readPlace), file: values.file };
  } catch (cause) {
    throw new LocalError(USAGE, { cause });
  }
}

function readPlace(text: string): Place {
  const [, position, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (position === undefined || hash === undefined) throw new LocalError(USAGE);
  return { position: Number(position), hash: Buffer.from(hash, 'hex') };
}

async function verifyDatabase(known: readonly Place[]): Promise<Verdict> {
  const environment = readEnvironment();
  const { master } = environment.keys;
  const secrets = existsSync(master) ? await createSecrets(master) : null;
  if (secrets === null) console.log(`There is no master key in ${master}: the seal is not looked at.`);
  const database = await openOwnerDatabase(environment);
  const client = new pg.Client({ connectionString: database.url });
  try {
    await client.connect();
    const verdict = await verifyAudit({ reader: client, secrets, known });
    if (secrets !== null && verdict.sealed === null && verdict.faults.length === 0) console.log('The log was never sealed: nothing says how far it should go.');
    return verdict;
  } finally {
    await client.end();
    await database.close();
  }
}

async function main(): Promise<void> {
  const { known, file } = readArguments();
  const { entries, head, sealed, faults } = file === undefined ? await verifyDatabase(known) : await verifyExport(createInterface({ input: createReadStream(file), crlfDelay: Infinity }), known);
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
