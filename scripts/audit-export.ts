/**
 * npm run audit:export -- FILE: the whole audit log as JSON lines, one entry each with its hash, in the order of the chain; `-` for the
 * standard output (with npm run --silent). npm run audit:verify -- --file FILE says whether it is whole.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { exportAudit } from '@novacron/audit';
import { LocalError } from '@novacron/local';
import pg from 'pg';
import { readEnvironment } from '../app/src/environment.ts';
import { openOwnerDatabase } from './owner-database.ts';

async function main(): Promise<void> {
  const [file, ...others] = process.argv.slice(2);
  if (file === undefined || others.length > 0) throw new LocalError('usage: npm run audit:export -- FILE, where - is the standard output');
  const database = await openOwnerDatabase(readEnvironment());
  const client = new pg.Client({ connectionString: database.url });
  const out = file === '-' ? process.stdout : createWriteStream(file, { flags: 'wx', mode: 0o600 });
  let entries = 0;
  try {
    await client.connect();
    for await (const line of exportAudit(client)) {
      entries += 1;
      if (!out.write(`${line}\n`)) await once(out, 'drain');
    }
    if (out !== process.stdout) {
      out.end();
      await once(out, 'finish');
      console.log(`${entries} entries in ${file}`);
    }
  } finally {
    await client.end();
    await database.close();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof LocalError ? error.message : error);
  process.exitCode = 1;
});
