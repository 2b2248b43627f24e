import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId } from '@novacron/core';
import { createSecrets } from '@novacron/secrets';
import { migratedDatabase, type TestDatabase } from '@novacron/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';

let database: TestDatabase;
let owner: pg.Pool;
let directory: string;

beforeAll(async () => {
  database = await migratedDatabase();
  owner = new pg.Pool({ connectionString: database.url, max: 2 });
  owner.on('error', () => {}); // of a connection that the database's end meets on its way out
  directory = mkdtempSync(join(tmpdir(), 'audit-verify-'));
});
afterAll(async () => {
  await owner?.end();
  await database?.drop();
  if (directory) rmSync(directory, { recursive: true, force: true });
});

async function run(script: 'audit-verify' | 'audit-export', ...args: string[]): Promise<{ output: string; status: number | null }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, `${script}.ts`), ...args], {
    env: { PATH: process.env['PATH'], NOVACRON_DATA: directory, NOVACRON_MASTER_KEY_FILE: join(directory, 'master.key'), DATABASE_URL: database.url },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const status = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  return { output, status };
}

async function write(count: number): Promise<void> {
  const lines = Array.from({ length: count }, () => ({ id: newId(), ended: true, entry: { action: 'act', outcome: 'SUCCEEDED', arguments: { name: 'ü "x" \\ }' } } }));
  await owner.query('SELECT operations.write_audit($1::jsonb)', [JSON.stringify(lines)]);
  await owner.query('SELECT operations.chain_audit(10000, 60000, 60000)');
}

const file = () => join(directory, 'export.jsonl');

// Each starts several processes, one after another.
it('says that a log is whole, and where it ends', async () => {
  expect(await run('audit-verify')).toMatchObject({ status: 0, output: expect.stringContaining('There is no master key') });
  await createSecrets(join(directory, 'master.key'));
  await write(2_345); // of several batches
  expect(await run('audit-verify')).toMatchObject({ status: 1, output: expect.stringContaining('WRONG: the seal is missing') });
  const { output, status } = await run('audit-verify', '--seal');
  expect(output).toMatch(/^Sealed \S+ at 2345\.\n2345 entries, up to 2345:[0-9a-f]{64}\nWhole\.\n$/);
  expect(status).toBe(0);
}, 120_000);

it('exports it as JSON lines, which can be verified by themselves', async () => {
  expect(await run('audit-export', file())).toEqual({ status: 0, output: `2345 entries in ${file()}\n` });
  const lines = readFileSync(file(), 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).entry.position)).toEqual(Array.from({ length: 2_345 }, (_, index) => index + 1));
  const { output, status } = await run('audit-verify', '--file', file());
  expect(output).toBe((await run('audit-verify')).output.replace(/^Sealed.*\n/, ''));
  expect(status).toBe(0);
  const known = /up to (\S+)/.exec(output)?.[1] ?? '';
  writeFileSync(file(), lines.slice(0, -1).join('\n'));
  expect(await run('audit-verify', '--file', file(), '--known', known)).toMatchObject({ status: 1, output: expect.stringContaining('WRONG: what was written down is at 2345, which is missing') });
  writeFileSync(file(), lines.toSpliced(6, 1).join('\n'));
  expect(await run('audit-verify', '--file', file())).toMatchObject({ status: 1, output: expect.stringContaining('WRONG: 1 missing before 8') });
}, 120_000);

it('says what is wrong, with an exit code', async () => {
  const tamper = (sql: string) => owner.query(`ALTER TABLE operations.audit_log DISABLE TRIGGER USER; ${sql}; ALTER TABLE operations.audit_log ENABLE TRIGGER USER`);
  const { output: before } = await run('audit-verify');
  await tamper('DELETE FROM operations.audit_log WHERE position > 2000; UPDATE operations.audit_head SET position = 2000, hash = (SELECT hash FROM operations.audit_log WHERE position = 2000)');
  expect(await run('audit-verify')).toMatchObject({ status: 1, output: expect.stringContaining('WRONG: everything after 2000 is missing: the seal is at 2345') });
  const known = /up to (\S+)/.exec(before)?.[1] ?? '';
  expect(await run('audit-verify', '--known', known)).toMatchObject({ status: 1, output: expect.stringContaining('what was written down is at 2345') });
  await tamper(`UPDATE operations.audit_log SET content = replace(content, 'act', 'axt') WHERE position = 17`);
  expect(await run('audit-verify')).toMatchObject({ status: 1, output: expect.stringContaining('WRONG: 17 was changed') });
  expect(await run('audit-verify', '--known', 'x')).toMatchObject({ status: 2, output: expect.stringContaining('usage:') });
}, 120_000);
