import { randomBytes } from 'node:crypto';
import { newId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { postgresPool, SERVICE_ROLES } from '@novacron/database';
import { startSequencer, type Sequencer } from '@novacron/events';
import { secretsOf, type Secrets } from '@novacron/secrets';
import { eventually, migratedDatabase, startRedis, type TestDatabase, type TestRedis } from '@novacron/testkit';
import pg from 'pg';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askerOf, createAuditTrail, sealAudit, verifyAudit, type AuditEntry, type AuditTrail, type Deed } from '../src/index.ts';

const logger = pino({ level: 'silent' });
let database: TestDatabase;
let redis: TestRedis;
let owner: pg.Pool;
let trail: AuditTrail;
let sequencers: Sequencer[];

beforeEach(async () => {
  [database, redis] = await Promise.all([migratedDatabase(), startRedis()]);
  owner = new pg.Pool({ connectionString: database.url, max: 3 });
  owner.on('error', () => {}); // of a connection that the database's end meets on its way out
  trail = createAuditTrail({ databaseUrl: database.url, service: 'vms', logger });
  sequencers = [];
});
afterEach(async () => {
  await Promise.all(sequencers.map((one) => one.close()));
  await trail.close();
  await owner.end();
  await Promise.all([database.drop(), redis.stop()]);
});

const chain = (audit: { unknownAfterMs?: number; countedForMs?: number } = {}) =>
  void sequencers.push(startSequencer({ databaseUrl: database.url, redis: redis.options, logger, audit }));

const viewer = { userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: [{ role: 'operator' as const, tenantId: newId<TenantId>() }] };
const asker = askerOf({ viewer, requestId: 'request', address: '192.0.2.1', userAgent: 'test' });
const deed: Deed = { kind: 'MUTATION', action: 'startVm', targetType: 'Vm', targetId: newId(), tenantId: viewer.roles[0]!.tenantId, arguments: { id: 'x' } }; // just made
const SUCCEEDED = { outcome: 'SUCCEEDED', code: null } as const;
const FORBIDDEN = { outcome: 'DENIED', code: 'FORBIDDEN' } as const;

async function log(): Promise<AuditEntry[]> {
  const { rows } = await owner.query<{ content: string }>('SELECT content FROM operations.audit_log ORDER BY position');
  return rows.map(({ content }) => JSON.parse(content) as AuditEntry);
}
const chained = (count: number) => eventually(`${count} entries`, async () => expect(await log()).toHaveLength(count));

async function succeed(times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) (await trail.begin(asker, { ...deed, action: `act${time}` })).end(SUCCEEDED);
}

describe('a trail', () => {
  it('says who did what, as whom, from where, and how it ended', async () => {
    const begun = await trail.begin(asker, deed);
    begun.end(SUCCEEDED, { targetId: 'another', tenantId: 'another' });
    chain();
    await chained(1);
    const [entry] = await log();
    expect(entry).toEqual({
      position: 1,
      id: expect.any(String),
      service: 'vms',
      at: expect.stringMatching(/^\d{4}-.*Z$/),
      endedAt: expect.any(String),
      count: 1,
      kind: 'MUTATION',
      action: 'startVm',
      targetType: 'Vm',
      targetId: deed.targetId, // what it began with stands
      tenantId: deed.tenantId,
      arguments: { id: 'x' },
      userId: viewer.userId,
      credentialId: viewer.sessionId,
      credential: 'SESSION',
      roles: viewer.roles,
      address: '192.0.2.1',
      userAgent: 'test',
      requestId: 'request',
      outcome: 'SUCCEEDED',
    });
  });

  it('is durable before it begins', async () => {
    await trail.begin(asker, deed);
    expect((await owner.query('SELECT FROM operations.audit_pending')).rowCount).toBe(1);
  });

  it('says UNKNOWN of what was cut off, and how it ended when that is heard of after all', async () => {
    const begun = await trail.begin(asker, deed);
    chain({ unknownAfterMs: 0 });
    await chained(1);
    begun.end(SUCCEEDED);
    await chained(2);
    const [cutOff, ended] = await log();
    expect(cutOff).toMatchObject({ action: 'startVm', outcome: 'UNKNOWN', userId: viewer.userId });
    expect(cutOff).not.toHaveProperty('endedAt', expect.any(String));
    expect(ended).toMatchObject({ id: cutOff?.id, outcome: 'SUCCEEDED', userId: viewer.userId });
  });

  it('leaves what has not ended out of the log', async () => {
    const begun = await trail.begin(asker, deed);
    (await trail.begin(asker, { ...deed, action: 'other' })).end(SUCCEEDED);
    chain();
    await chained(1);
    begun.end(SUCCEEDED);
    await chained(2);
    expect((await log()).map(({ action }) => action)).toEqual(['other', 'startVm']);
  });

  it('refuses what can not be written down', async () => {
    await owner.query('REVOKE EXECUTE ON FUNCTION operations.write_audit FROM novacron_vms');
    await expect(trail.begin(asker, deed)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    await owner.query('GRANT EXECUTE ON FUNCTION operations.write_audit TO novacron_vms');
  });

  it('has every entry of many at once, from several processes, chained by several sequencers', async () => {
    const others = createAuditTrail({ databaseUrl: database.url, service: 'identity', logger });
    chain();
    chain();
    await Promise.all(Array.from({ length: 300 }, async (_, at) => (await (at % 2 === 0 ? trail : others).begin(asker, { ...deed, action: `act${at}` })).end(SUCCEEDED)));
    await chained(300);
    await others.close();
    const entries = await log();
    expect(new Set(entries.map(({ action }) => action)).size).toBe(300);
    expect(await verdict([], null)).toMatchObject({ entries: 300, faults: [] });
  });
});

describe('refusals', () => {
  it('are one entry when they come, and one more for all that are alike', async () => {
    for (let time = 0; time < 1_000; time += 1) trail.refused(asker, deed, FORBIDDEN);
    trail.refused(askerOf({ viewer: null, requestId: 'request', address: '192.0.2.2', userAgent: null }), deed, FORBIDDEN);
    await trail.close();
    chain({ countedForMs: 60_000 });
    await chained(2);
    await sequencers.pop()?.close();
    chain({ countedForMs: 0 });
    await chained(3);
    const [, , rest] = await log();
    expect(rest).toMatchObject({ action: 'startVm', count: 999, outcome: 'DENIED', code: 'FORBIDDEN', userId: viewer.userId });
    expect((await owner.query('SELECT FROM operations.audit_repeat')).rowCount).toBe(0);
  });

  it('of mutations are counted like any other', async () => {
    for (let time = 0; time < 20; time += 1) (await trail.begin({ ...asker, requestId: `request-${time}` }, deed)).end({ outcome: 'FAILED', code: 'INVALID_STATE' });
    await trail.close();
    chain({ countedForMs: 0 });
    await eventually('all of them', async () => expect((await log()).reduce((sum, { count }) => sum + count, 0)).toBe(20));
    expect(await log()).toHaveLength(2);
    expect((await owner.query('SELECT FROM operations.audit_pending')).rowCount).toBe(0);
  });

  it('from one network of IPv6 are from one place', async () => {
    const from = (address: string) => askerOf({ viewer: null, requestId: 'request', address, userAgent: 'test' });
    for (let host = 1; host <= 300; host += 1) trail.refused(from(`2001:db8:0:1::${host.toString(16)}`), deed, FORBIDDEN);
    for (let kind = 0; kind < 300; kind += 1) trail.refused(from(`2001:db8:0:2::${kind.toString(16)}`), { ...deed, arguments: { kind } }, FORBIDDEN);
    await trail.close();
    chain();
    await chained(102);
    await sequencers.pop()?.close();
    chain({ countedForMs: 0 });
    await chained(104);
    const entries = await log();
    expect(entries.filter(({ action }) => action === 'others')).toMatchObject([{ count: 1 }, { count: 199 }]);
    expect(entries.filter(({ address }) => address === '2001:db8:0:1::1')).toMatchObject([{ count: 1 }, { count: 299 }]);
  });

  it('of too many kinds are counted as others: a flood does not fill the disk', async () => {
    for (let kind = 0; kind < 500; kind += 1) trail.refused(asker, { ...deed, arguments: { email: `${kind}@example.org` } }, FORBIDDEN);
    await trail.close();
    chain();
    await chained(101);
    await sequencers.pop()?.close();
    chain({ countedForMs: 0 });
    await chained(102);
    const entries = await log();
    expect(entries.at(-1)).toMatchObject({ action: 'others', count: 399, userId: viewer.userId });
    expect(entries.reduce((sum, { count }) => sum + count, 0)).toBe(500);
  });
});

const secrets = secretsOf(randomBytes(32));

async function verdict(known: { position: number; hash: Buffer }[] = [], by: Secrets | null = secrets) {
  const client = await owner.connect();
  try {
    return await verifyAudit({ reader: client, secrets: by, known });
  } finally {
    client.release();
  }
}

/** As whoever owns the tables may, who means harm. */
async function tamper(sql: string): Promise<void> {
  await owner.query(`ALTER TABLE operations.audit_log DISABLE TRIGGER USER; ${sql}; ALTER TABLE operations.audit_log ENABLE TRIGGER USER`);
}

describe('the log', () => {
  it('is nothing that a service can change', async () => {
    for (const role of SERVICE_ROLES) {
      const pool = postgresPool(database.url, role, 1);
      try {
        for (const table of ['audit_log', 'audit_head', 'audit_pending', 'audit_repeat']) {
          for (const sql of [`DELETE FROM operations.${table}`, `TRUNCATE operations.${table}`, `INSERT INTO operations.${table} DEFAULT VALUES`]) {
            await expect(pool.query(sql), `${role}: ${sql}`).rejects.toMatchObject({ code: '42501' });
          }
        }
        const others = [
          "UPDATE operations.audit_log SET content = ''",
          ...(role === 'operations' ? [] : ['SELECT operations.chain_audit(1, 0, 0)']),
          ...(role === 'identity' ? [] : ["SELECT operations.seal_audit('', '')"]),
        ];
        for (const sql of others) await expect(pool.query(sql), `${role}: ${sql}`).rejects.toMatchObject({ code: '42501' });
      } finally {
        await pool.end();
      }
    }
  });

  it('is only added to, by its owner, too', async () => {
    await succeed(1);
    chain();
    await chained(1);
    for (const sql of ["UPDATE operations.audit_log SET content = ''", 'DELETE FROM operations.audit_log', 'TRUNCATE operations.audit_log']) {
      await expect(owner.query(sql)).rejects.toThrow('only ever added to');
    }
  });

  it('does not let one service end or change what another has begun', async () => {
    const { rows } = await trail.begin(asker, deed).then(() => owner.query<{ id: string }>('SELECT id FROM operations.audit_pending'));
    const pool = postgresPool(database.url, 'storage', 1);
    await pool.query('SELECT operations.write_audit($1::jsonb)', [JSON.stringify([{ id: rows[0]?.id, ended: true, entry: { outcome: 'SUCCEEDED', action: 'nothing' } }])]);
    await pool.end();
    const { rows: after } = await owner.query('SELECT service, ended_at, entry FROM operations.audit_pending');
    expect(after).toEqual([{ service: 'vms', ended_at: null, entry: expect.objectContaining({ action: 'startVm' }) }]);
  });

  it.each([
    ['a changed entry', `UPDATE operations.audit_log SET content = replace(content, '"act', '"fact') WHERE position = 3`, '3 was changed'],
    ['a changed column', `UPDATE operations.audit_log SET user_id = 'somebody' WHERE position = 3`, '3 was changed in "userId"'],
    ['a changed time', `UPDATE operations.audit_log SET at = at + interval '1 second' WHERE position = 3`, '3 was changed in "at"'],
    ['a missing entry', 'DELETE FROM operations.audit_log WHERE position = 3', '1 missing before 4'],
    ['the first one missing', 'DELETE FROM operations.audit_log WHERE position = 1', '1 missing before 2'],
    ['two that changed places', `UPDATE operations.audit_log SET position = CASE position WHEN 2 THEN -3 ELSE -2 END WHERE position IN (2, 3); UPDATE operations.audit_log SET position = -position WHERE position < 0`, '2 was changed'],
    ['a cut end', 'DELETE FROM operations.audit_log WHERE position > 3', 'everything after 3 is missing: the head is at 5'],
    ['a cut end, with the head put back', 'DELETE FROM operations.audit_log WHERE position > 3; UPDATE operations.audit_head SET position = 3, hash = (SELECT hash FROM operations.audit_log WHERE position = 3)', 'everything after 3 is missing: the seal is at 5'],
    ['everything gone', `DELETE FROM operations.audit_log; UPDATE operations.audit_head SET position = 0, hash = decode(repeat('00', 32), 'hex')`, 'everything after 0 is missing: the seal is at 5'],
    [
      'a chain made anew from a changed entry',
      `DO $$ DECLARE r record; h bytea := decode(repeat('00', 32), 'hex'); BEGIN
        UPDATE operations.audit_log SET content = replace(content, '"action": "act', '"action": "fact'), action = 'f' || action WHERE position = 3;
        FOR r IN SELECT * FROM operations.audit_log ORDER BY position LOOP
          h := sha256(h || convert_to(r.content, 'UTF8'));
          UPDATE operations.audit_log SET hash = h WHERE position = r.position;
        END LOOP;
        UPDATE operations.audit_head SET hash = h;
      END $$`,
      'the seal says something else of everything up to 5',
    ],
    ['a removed seal', 'UPDATE operations.audit_head SET sealed = NULL', 'the seal is missing'],
    ['a forged seal', `UPDATE operations.audit_head SET sealed = decode(repeat('00', 60), 'hex')`, 'the seal can not be opened with this key: it was changed, or sealed with another one'],
  ])('shows %s', async (_what, sql, fault) => {
    const pool = postgresPool(database.url, 'identity', 1);
    await sealAudit({ pool, secrets, logger });
    await succeed(5);
    chain();
    await chained(5);
    await sealAudit({ pool, secrets, logger });
    const { head, ...whole } = await verdict();
    expect(whole).toEqual({ entries: 5, sealed: { position: 5, at: expect.any(Date) }, faults: [] });
    await tamper(sql);
    expect((await verdict()).faults[0]).toBe(fault);
    expect((await verdict([head])).faults).not.toEqual([]);
    await pool.end();
  });

  it('is not sealed again when it is not what was sealed', async () => {
    const pool = postgresPool(database.url, 'identity', 1);
    await sealAudit({ pool, secrets, logger });
    await succeed(3);
    chain();
    await chained(3);
    const lines: unknown[] = [];
    const noting = pino({ level: 'error' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const seal = () => sealAudit({ pool, secrets, logger: noting });
    await seal();
    await seal();
    expect(lines).toEqual([]);
    await tamper('DELETE FROM operations.audit_log WHERE position > 1; UPDATE operations.audit_head SET position = 1, hash = (SELECT hash FROM operations.audit_log WHERE position = 1)');
    await succeed(4);
    await chained(5);
    await seal();
    expect((await verdict()).faults).toEqual(['the seal says something else of everything up to 3']);
    await owner.query('UPDATE operations.audit_head SET sealed = NULL');
    await seal();
    expect(lines).toMatchObject([{ fault: '3 is not what was sealed' }, { fault: 'the seal is missing' }]);
    expect((await verdict()).faults).toEqual(['the seal is missing']);
    await pool.end();
  });
});
