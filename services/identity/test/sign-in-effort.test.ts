import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCredentials } from '../src/accounts/credentials.ts';
import { createPasswords, type Hashing } from '../src/passwords.ts';
import { openDatabase, type Database } from '../src/store/database.ts';
import { ADMIN, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let db: Database;
beforeAll(async () => {
  identity = await startIdentity();
  db = openDatabase(identity.databaseUrl);
  await identity.service.bootstrap();
});
afterAll(async () => {
  await db?.$disconnect();
  await identity?.close();
});

it('checks two passwords for whatever is typed, so that the time tells nothing', async () => {
  const passwords = createPasswords({ now: () => 0 });
  const checked: (string | null)[][] = [];
  const watched = (verify: Hashing['verify']): Hashing['verify'] => (password, stored) => (checked.at(-1)?.push(stored), verify(password, stored));
  const credentials = createCredentials({
    db,
    passwords: { ...passwords, inTurn: (hashes, work) => passwords.inTurn(hashes, (hashing) => work({ ...hashing, verify: watched(hashing.verify) })) },
    now: identity.clock.now,
    logger: pino({ level: 'silent' }),
  });
  for (const login of [ADMIN.email, 'nobody@example.org', 'no address', 'nobody']) {
    checked.push([]);
    const attempt = credentials.check({ login, password: 'wrong password' }, { address: null, device: null }, 'test');
    await expect(attempt).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: 'The e-mail address or the password is wrong.' });
  }
  expect(checked).toEqual([[expect.stringContaining('$argon2id$'), null], [null, null], [null, null], [null, null]]);
});
