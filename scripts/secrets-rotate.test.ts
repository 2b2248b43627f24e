import { spawn } from 'node:child_process';
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newId } from '@novacron/core';
import { createSecrets, rotateMasterKey } from '@novacron/secrets';
import { migratedDatabase } from '@novacron/testkit';

let database: Awaited<ReturnType<typeof migratedDatabase>>;
let pool: pg.Pool;
let directory: string;
let masterKeyFile: string;

beforeAll(async () => {
  database = await migratedDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
  directory = mkdtempSync(join(tmpdir(), 'secrets-rotate-'));
  masterKeyFile = join(directory, 'master.key');
});
afterAll(async () => {
  await pool?.end();
  await database?.drop();
  if (directory) rmSync(directory, { recursive: true, force: true });
});

/** Runs the command; `killAt`: until it says so, and not a moment longer. */
async function rotate(args: readonly string[], { killAt, environment = {} }: { killAt?: string; environment?: object } = {}): Promise<{ output: string; status: number | null }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'secrets-rotate.ts'), ...args], {
    env: { PATH: process.env['PATH'], NOVACRON_DATA: directory, NOVACRON_MASTER_KEY_FILE: masterKeyFile, DATABASE_URL: database.url, ...environment },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (killAt !== undefined && output.includes(killAt)) child.kill('SIGKILL');
    });
  }
  const status = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  return { output, status };
}

it('says what it needs', async () => {
  expect(await rotate([])).toMatchObject({ status: 1, output: expect.stringContaining('There is no master key') });
  await createSecrets(masterKeyFile);
  expect(await rotate(['at-once'])).toMatchObject({ status: 1, output: expect.stringContaining('usage: npm run secrets:rotate') });
  const ofAService = database.url.replace(/\/\/[^@]*@/, '//novacron_identity:x@');
  expect(await rotate([], { environment: { DATABASE_URL: ofAService } })).toMatchObject({ status: 1, output: expect.stringContaining('owner') });
  expect(readFileSync(masterKeyFile)).toHaveLength(32);
});

it('is killed in the middle, and goes on from there', async () => {
  const running = await createSecrets(masterKeyFile);
  const before = running.keyId;
  const ids = Array.from({ length: 1_000 }, () => newId<string>());
  for (const id of ids) {
    const { sealed, keyId } = running.seal(Buffer.from(id), `mail:${id}`);
    await pool.query(`INSERT INTO identity.mails (id, kind, recipient, content, key_id, created_at) VALUES ($1, 'kind', 'a@example.org', $2, $3, now())`, [id, sealed, keyId]);
  }
  const isOpen = async () => {
    const { rows } = await pool.query('SELECT id, content AS sealed, key_id AS "keyId" FROM identity.mails');
    for (const { id, ...box } of rows) expect(running.open(box, `mail:${id}`).toString()).toBe(id);
    return rows.filter(({ keyId }) => keyId === before).length;
  };

  expect((await rotate(['announce'])).output).toContain('2 keys open');
  expect(await isOpen()).toBe(1_000);
  await rotate(['reseal'], { killAt: 'sealed again' });
  expect(await isOpen()).toBeLessThan(1_000);
  expect(await rotate(['reseal'])).toMatchObject({ status: 0 });
  expect(await isOpen()).toBe(0);
  expect(readFileSync(masterKeyFile)).toHaveLength(64);
  await rotateMasterKey({ masterKeyFile, pool, steps: ['finish'], graceMs: 0 }); // as the command does, which takes its time
  expect(readFileSync(masterKeyFile)).toHaveLength(32);
  expect(await isOpen()).toBe(0);
});
