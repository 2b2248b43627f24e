/**
 * npm run secrets:rotate [-- announce | reseal | finish]: another master key in the place of the one that there is, while everything
 * runs. Without a step all three, for an installation whose processes share the file. See docs/secrets.md. Ended anywhere, it is begun
 * again and comes to the same end.
 */
import { existsSync } from 'node:fs';
import pg from 'pg';
import { DomainError } from '@novacron/core';
import { LocalError } from '@novacron/local';
import { rotateMasterKey, ROTATION_STEPS, type RotationStep } from '@novacron/secrets';
import { readEnvironment } from '../app/src/environment.ts';
import { openOwnerDatabase } from './owner-database.ts';

function readStep([name, ...others]: readonly string[]): readonly RotationStep[] {
  if (name === undefined) return ROTATION_STEPS;
  const step = ROTATION_STEPS.find((known) => known === name);
  if (step === undefined || others.length > 0) throw new LocalError(`usage: npm run secrets:rotate [-- ${ROTATION_STEPS.join(' | ')}]`);
  return [step];
}

async function main(): Promise<void> {
  const steps = readStep(process.argv.slice(2));
  const environment = readEnvironment();
  const masterKeyFile = environment.keys.master;
  if (!existsSync(masterKeyFile)) throw new LocalError(`There is no master key in ${masterKeyFile}: NOVACRON_DATA or NOVACRON_MASTER_KEY_FILE names another place, or NovaCron was never started here.`);
  const database = await openOwnerDatabase(environment);
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  try {
    await rotateMasterKey({ masterKeyFile, pool, steps, onProgress: (line) => console.log(line) });
  } finally {
    await pool.end();
    await database.close();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof LocalError || error instanceof DomainError ? error.message : error);
  process.exitCode = 1;
});
