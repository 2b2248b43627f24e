import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { migratedDatabase } from '@novacron/testkit';
import { createSecrets, rotateMasterKey, SEALED_COLUMNS, secretsOf, type RotationOptions, type Secrets } from '../src/index.ts';
import { sealBox } from '../src/sealed-box.ts';

let database: Awaited<ReturnType<typeof migratedDatabase>>;
let pool: pg.Pool;
let directory: string;
let file: string;
let oldKey: Buffer;
/** As a process has it that runs all the while. */
let running: Secrets;

beforeAll(async () => {
  database = await migratedDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 4 });
});
afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rotation-'));
  file = join(directory, 'master.key');
  running = await createSecrets(file);
  oldKey = readFileSync(file);
  await withoutReferences('TRUNCATE identity.mails, identity.totp, identity.signing_keys, storage.volume, storage.seed CASCADE; UPDATE operations.audit_head SET sealed = NULL, sealed_key_id = NULL');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const rotate = (options: Partial<RotationOptions> = {}) => rotateMasterKey({ masterKeyFile: file, pool, graceMs: 0, ...options });
const next = () => `${file}.next`;
const keysIn = (path: string) => readFileSync(path).length / 32;

/** What rows refer to does not matter here. */
async function withoutReferences(sql: string, values?: unknown[]): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('SET LOCAL session_replication_role = replica');
    await client.query(sql, values);
    await client.query('COMMIT');
  } finally {
    client.release(true);
  }
}

const ID = '01990000-0000-7000-8000-';
const idOf = (number: number): string => `${ID}${number.toString(16).padStart(12, '0')}`;
const textOf = (id: string): string => `secret of ${id}`;

async function putMail(secrets: Secrets, number: number): Promise<void> {
  const id = idOf(number);
  const { sealed, keyId } = secrets.seal(Buffer.from(textOf(id)), `mail:${id}`);
  await pool.query(`INSERT INTO identity.mails (id, kind, recipient, content, key_id, created_at) VALUES ($1, 'kind', 'a@example.org', $2, $3, now())`, [id, sealed, keyId]);
}

/** A row in each table that has something sealed; one of version 1, and a signing key from before there were any. */
async function putOneOfEach(secrets: Secrets): Promise<void> {
  const id = idOf(1);
  const box = (context: string) => secrets.seal(Buffer.from(textOf(id)), context);
  const [totp, seed, head] = [box(`totp:${id}`), box(`seed:${id}`), box('audit:head')];
  await putMail(secrets, 1);
  await withoutReferences('INSERT INTO identity.totp (user_id, secret, key_id, created_at) VALUES ($1, $2, $3, now())', [id, totp.sealed, totp.keyId]);
  await withoutReferences(`INSERT INTO storage.seed (vm_id, id, pool_id, libvirt_name, size, content, key_id) VALUES ($1, $1, $1, 's', 1, $2, $3)`, [id, seed.sealed, seed.keyId]);
  await withoutReferences('UPDATE operations.audit_head SET sealed = $1, sealed_key_id = $2', [head.sealed, head.keyId]);
  const versionOne = Buffer.concat([Buffer.of(1), sealBox(oldKey, `volume:${id}`, Buffer.from(textOf(id)))]);
  await withoutReferences(
    `INSERT INTO storage.volume (id, tenant_id, name, size, format, encrypted, pool_id, libvirt_name, passphrase, key_id) VALUES ($1, $1, 'v', 1, 'qcow2', true, $1, 'v', $2, $3)`,
    [id, versionOne, secrets.keyId],
  );
  const bare = sealBox(oldKey, id, Buffer.from(textOf(id)));
  await pool.query(`INSERT INTO identity.signing_keys (kid, public_jwk, private_jwk, created_at) VALUES ($1, '{}', $2, now())`, [id, bare]);
}

interface Found {
  table: string;
  keyId: string | null;
  opens: boolean;
}

/** Everything that is sealed, and whether it opens. */
async function look(secrets: Secrets): Promise<Found[]> {
  const found: Found[] = [];
  for (const { table, id, sealed, keyId, contextOf } of SEALED_COLUMNS) {
    const { rows } = await pool.query(`SELECT ${id}::text AS id, ${sealed} AS sealed, ${keyId} AS "keyId" FROM ${table} WHERE length(${sealed}) > 0`);
    for (const row of rows) found.push({ table, keyId: row.keyId, opens: opens(secrets, row, contextOf(row.id)) });
  }
  return found;
}

function opens(secrets: Secrets, row: { id: string; sealed: Buffer<ArrayBuffer>; keyId: string | null }, context: string): boolean {
  try {
    const text = row.keyId === null ? secrets.openBare(row.sealed, row.id) : secrets.open({ sealed: row.sealed, keyId: row.keyId }, context);
    return text.toString().startsWith('secret of ');
  } catch {
    return false;
  }
}

it('knows every column that is sealed', async () => {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT table_schema || '.' || table_name || '.' || column_name AS name FROM information_schema.columns
     WHERE column_name LIKE '%key\\_id' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual(SEALED_COLUMNS.map(({ table, keyId }) => `${table}.${keyId}`).toSorted());
});

describe('changing the master key', () => {
  it('seals everything again, and drops the old key', async () => {
    await putOneOfEach(running);
    for (let number = 2; number <= 450; number += 1) await putMail(running, number);
    const before = running.keyId;
    await rotate();
    expect(readFileSync(file)).toHaveLength(32);
    expect(readFileSync(file)).not.toEqual(oldKey);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(existsSync(next())).toBe(false);
    const found = await look(await createSecrets(file));
    expect(found).toHaveLength(455);
    expect(new Set(found.map(({ table }) => table)).size).toBe(SEALED_COLUMNS.length);
    expect(found.every(({ keyId, opens: isOpen }) => isOpen && keyId !== before)).toBe(true);
    expect((await look(secretsOf(oldKey))).every(({ opens: isOpen }) => !isOpen)).toBe(true);
  });

  it('stops nobody: whoever runs meanwhile opens all that there is, and seals', async () => {
    await putOneOfEach(running);
    for (let number = 2; number <= 250; number += 1) await putMail(running, number);
    let number = 1_000;
    await rotate({
      async onProgress() {
        expect((await look(running)).filter(({ opens: isOpen }) => !isOpen)).toEqual([]);
        await putMail(running, number++);
      },
    });
    const found = await look(running);
    expect(number).toBeGreaterThan(1_005);
    expect(found).toHaveLength(255 + number - 1_000);
    expect(found.filter(({ keyId, opens: isOpen }) => !isOpen || keyId !== running.keyId)).toEqual([]);
  });

  it('waits for whoever was just sealing', async () => {
    await putOneOfEach(running);
    const late = secretsOf(oldKey);
    let number = 2_000;
    await rotate({
      async onProgress(line) {
        if (line.endsWith(' seals')) await putMail(late, number++);
        if (line.includes('storage.seed')) await putMail(late, number++); // its table is done already
      },
    });
    expect(number).toBe(2_002);
    expect((await look(await createSecrets(file))).filter(({ opens: isOpen }) => !isOpen)).toEqual([]);
  });

  it('does not put back what was changed between a look and a touch', async () => {
    await putMail(running, 1);
    await putMail(running, 2);
    const busy = new pg.Pool({ connectionString: database.url, max: 4 });
    const query = busy.query.bind(busy) as (text: string, values?: unknown[]) => Promise<pg.QueryResult>; // the one form of it that is used
    let sent = 0;
    const send = () => pool.query("UPDATE identity.mails SET content = '' WHERE id = $1", [idOf(1)]);
    Object.assign(busy, {
      async query(text: string, values?: unknown[]) {
        const answer = await query(text, values);
        if (/^SELECT .*identity\.mails/s.test(text) && sent++ === 0) await send();
        return answer;
      },
    });
    await rotate({ pool: busy }).finally(() => busy.end());
    const { rows } = await pool.query<{ length: number }>('SELECT length(content) AS length FROM identity.mails ORDER BY id');
    expect(rows.map(({ length }) => length > 0)).toEqual([false, true]);
  });

  it('keeps the old key while somebody goes on sealing with it', async () => {
    const stale = secretsOf(oldKey);
    let number = 3_000;
    await putMail(stale, number++);
    const attempt = rotate({
      async onProgress(line) {
        if (line.includes('identity.mails')) await putMail(stale, number++);
      },
    });
    await expect(attempt).rejects.toMatchObject({ code: 'INVALID_STATE', message: expect.stringContaining('every machine') });
    expect(keysIn(file)).toBe(2);
    expect((await look(running)).filter(({ opens: isOpen }) => !isOpen)).toEqual([]);
    await rotate();
    expect(keysIn(file)).toBe(1);
    expect((await look(running)).filter(({ opens: isOpen }) => !isOpen)).toEqual([]);
  });

  it('keeps the old key while there is something that nothing opens', async () => {
    await putMail(secretsOf(randomBytes(32)), 4_000);
    await putMail(running, 4_001);
    const told: string[] = [];
    await expect(rotate({ onProgress: (line) => void told.push(line) })).rejects.toMatchObject({ code: 'INVALID_STATE' });
    expect(told).toContainEqual(expect.stringContaining(`identity.mails: no key opens ${idOf(4_000)}`));
    expect(keysIn(file)).toBe(2);
    await pool.query('DELETE FROM identity.mails WHERE id = $1', [idOf(4_000)]);
    await rotate();
    expect(await look(await createSecrets(file))).toMatchObject([{ opens: true }]);
  });

  it('is done by one at a time', async () => {
    await putOneOfEach(running);
    let refusals = 0;
    await rotate({
      async onProgress() {
        await expect(rotate({ lockWaitMs: 1 })).rejects.toMatchObject({ code: 'CONFLICT' });
        refusals += 1;
      },
    });
    expect(refusals).toBeGreaterThan(3);
  });

  it('leaves what was sent, and what is empty, alone', async () => {
    await pool.query(`INSERT INTO identity.mails (id, kind, recipient, content, key_id, created_at) VALUES ($1, 'kind', 'a@example.org', '', 'gone', now())`, [idOf(5_000)]);
    await rotate();
    expect(keysIn(file)).toBe(1);
  });
});

describe('ended anywhere and begun again', () => {
  it('loses nothing, and comes to its end', async () => {
    await putOneOfEach(running);
    for (let number = 2; number <= 250; number += 1) await putMail(running, number);
    const first = running.keyId;
    let deaths = 0;
    // each goes a step further than the one before; the last one dies after its last act, or there is nothing left to do
    for (let isOver = false; !isOver; ) {
      let left = deaths;
      const die = () => {
        if (left-- === 0) throw new Error('killed');
      };
      const died = await rotate({ onProgress: die }).then(
        () => false,
        () => true,
      );
      if (died) deaths += 1;
      for (const secrets of [running, await createSecrets(file)]) expect((await look(secrets)).filter(({ opens: isOpen }) => !isOpen)).toEqual([]);
      isOver = !died || (keysIn(file) === 1 && !existsSync(next()) && running.keyId !== first);
    }
    expect(deaths).toBeGreaterThan(3);
    expect(keysIn(file)).toBe(1);
    expect((await look(running)).filter(({ keyId, opens: isOpen }) => !isOpen || keyId === first)).toEqual([]);
  });

  const [one, two] = [randomBytes(32), randomBytes(32)];
  it.each([
    ['before anything', [one], null, 'another'],
    ['once the new key was announced', [one], two, 'two'],
    ['once the new key was put first, and is still announced', [two, one], two, 'two'],
    ['once the new key seals', [two, one], null, 'two'],
    ['once the old key was dropped', [two], null, 'another'],
  ])('%s, it takes the right key', async (_when, keys, announced, then) => {
    writeFileSync(file, Buffer.concat(keys));
    if (announced) writeFileSync(next(), announced, { mode: 0o600 });
    const ring = await createSecrets(file);
    for (const [at, key] of [...keys, ...(announced ? [announced] : [])].entries()) await putMail(secretsOf(key), 6_000 + at);
    await rotate();
    expect((await look(await createSecrets(file))).every(({ opens: isOpen }) => isOpen)).toBe(true);
    expect((await look(ring)).every(({ opens: isOpen }) => isOpen)).toBe(true);
    const left = readFileSync(file);
    expect(left.equals(two)).toBe(then === 'two');
    expect(left.equals(one)).toBe(false);
    expect(left).toHaveLength(32);
    expect(existsSync(next())).toBe(false);
  });
});

describe('where machines have copies of the file', () => {
  it('is done in steps, and each copy opens what the others seal', async () => {
    const copy = join(directory, 'copy.key');
    const copied = () => {
      writeFileSync(copy, readFileSync(file));
      if (existsSync(next())) writeFileSync(`${copy}.next`, readFileSync(next()));
      else rmSync(`${copy}.next`, { force: true });
    };
    copied();
    const elsewhere = await createSecrets(copy);
    const both = async (number: number) => {
      await putMail(running, number);
      await putMail(elsewhere, number + 1);
      for (const secrets of [running, elsewhere]) expect((await look(secrets)).filter(({ opens: isOpen }) => !isOpen)).toEqual([]);
    };
    await both(7_000);
    await rotate({ steps: ['announce'] });
    await both(7_100);
    copied();
    await both(7_200);
    await rotate({ steps: ['reseal'] });
    await both(7_300); // it seals with the old key still, and opens what the new one has sealed
    copied();
    await both(7_400);
    await rotate({ steps: ['finish'] });
    await both(7_500);
    copied();
    await both(7_600);
    expect(keysIn(copy)).toBe(1);
    expect(elsewhere.keyId).toBe(running.keyId);
  });

  it('makes nothing of half a copy', async () => {
    const { keyId } = running;
    const whole = readFileSync(file);
    writeFileSync(file, whole.subarray(0, 7));
    expect(running.keyId).toBe(keyId);
    rmSync(file);
    expect(running.seal(Buffer.from('text'), 'a').keyId).toBe(keyId);
    const another = randomBytes(32);
    writeFileSync(file, Buffer.concat([another, whole]));
    chmodSync(file, 0o600);
    expect(running.keyId).toBe(secretsOf(another).keyId);
  });
});
