import { rotateMasterKey, SEALED_COLUMNS } from '@novacron/secrets';
import { readFileSync } from 'node:fs';
import { Secret, TOTP } from 'otpauth';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '@novacron/testkit';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { ADMIN, makePeople, type People } from './kit/people.ts';

/** Second factors of people who are at work, and another master key for what they are sealed with. */

let system: Embedded;
let people: People;
let pool: pg.Pool;

beforeAll(async () => {
  system = await startEmbedded();
  people = await makePeople(system.graph);
  pool = new pg.Pool({ connectionString: system.databaseUrl, max: 2 });
});
afterAll(async () => {
  await pool?.end();
  await system?.close();
});

const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { accessToken secondFactorRequired } }';

/** By which keys there is something sealed. */
async function keyIds(): Promise<string[]> {
  const tables = SEALED_COLUMNS.map(({ table, sealed, keyId }) => `SELECT ${keyId} AS id FROM ${table} WHERE length(${sealed}) > 0`);
  return (await pool.query<{ id: string }>(`SELECT DISTINCT id FROM (${tables.join(' UNION ALL ')}) sealed`)).rows.map(({ id }) => id);
}

it('is demanded of who is at work: its token is worth nothing until it has one, and then what it was', async () => {
  const operator = system.graph.as(people.operator);
  const demand = (roles: string[]) =>
    system.graph.as(people.tenantAdmin).run('mutation ($in: ID!, $roles: [String!]!) { requireSecondFactor(tenantId: $in, roles: $roles) { secondFactorRoles } }', { in: people.acme, roles });
  const permissions = async (): Promise<string[]> => (await operator.run('{ me { permissions } }'))['me'].permissions;
  const subscription = await operator.subscribe('subscription { vmChanged { cursor } }');
  try {
    expect(await permissions()).toContain('vm:create');
    await demand(['operator']);
    await eventually('the operator to have no permission', async () => (await permissions()).length === 0);
    const { extensions, message } = await operator.refused('mutation { createTenant(input: { name: "x" }) { id } }');
    expect(extensions.code).toBe('FORBIDDEN');
    expect(message).toContain('beginTotp');
    expect(await subscription.code()).toBe(4403);
    const { secret } = (await operator.run('mutation { beginTotp { secret } }'))['beginTotp'];
    const code = new TOTP({ secret: Secret.fromBase32(secret) }).generate();
    await operator.run('mutation ($code: String!) { confirmTotp(code: $code) { codes } }', { code });
    await eventually('the operator to be one again', async () => (await permissions()).includes('vm:create'));
  } finally {
    await subscription.close();
    await demand([]);
  }
});

it('goes on with another key: tokens, second factors, and after the next start', async () => {
  const auditor = system.graph.as(people.auditor);
  const { secret } = (await auditor.run('mutation { beginTotp { secret } }'))['beginTotp'];
  const totp = new TOTP({ secret: Secret.fromBase32(secret) });
  const codes: string[] = (await auditor.run('mutation ($code: String!) { confirmTotp(code: $code) { codes } }', { code: totp.generate() }))['confirmTotp'].codes;
  const signIn = (code?: string) => system.graph.run(LOGIN, { input: { email: 'audrey@novacron.test', password: 'a password for tests', code } });
  expect((await signIn())['login']).toEqual({ accessToken: null, secondFactorRequired: true });

  const [before, file] = [await keyIds(), system.environment.keys.master];
  const oldKey = readFileSync(file);
  expect(before).toHaveLength(1);
  await rotateMasterKey({ masterKeyFile: file, pool, graceMs: 500 });
  expect(readFileSync(file)).toHaveLength(32);
  expect(readFileSync(file)).not.toEqual(oldKey);
  const after = await keyIds();
  expect(after).toHaveLength(1);
  expect(after).not.toEqual(before);

  expect((await auditor.run('{ me { totpEnabled } }'))['me']).toEqual({ totpEnabled: true });
  // the next step's: that of now was spent, and a clock may be a step off
  const next = totp.generate({ timestamp: Date.now() + 30_000 });
  const { accessToken } = (await signIn(next))['login'];
  expect((await system.graph.as({ token: accessToken }).run('{ me { backupCodesLeft } }'))['me']).toEqual({ backupCodesLeft: 10 });

  await system.stop();
  await system.start();
  expect((await system.graph.as({ token: accessToken }).run('{ me { totpEnabled } }'))['me']).toEqual({ totpEnabled: true });
  expect((await signIn(codes[0]))['login'].accessToken).toEqual(expect.any(String));
  expect((await system.graph.run(LOGIN, { input: ADMIN }))['login'].accessToken).toEqual(expect.any(String));
});
