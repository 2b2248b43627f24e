import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createAccessTokens } from '../src/access-tokens.ts';
import { createKeyring } from '../src/keyring.ts';
import { createPasswords } from '../src/passwords.ts';
import { createSecondFactors } from '../src/second-factor/second-factors.ts';
import { createSignIn } from '../src/sign-in.ts';
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

it('checks a password for whatever address, so that the time tells nothing', async () => {
  const { masterKey, clock } = identity;
  const logger = pino({ level: 'silent' });
  const passwords = createPasswords();
  const checked: (string | null)[] = [];
  const keyring = createKeyring({ db, masterKey, now: clock.now, logger, tokenLifetimeMs: 600_000 });
  const signIn = createSignIn({
    db,
    passwords: { ...passwords, verify: (password, stored) => (checked.push(stored), passwords.verify(password, stored)) },
    accessTokens: createAccessTokens({ keyring, now: clock.now, lifetimeMs: 600_000 }),
    secondFactors: createSecondFactors({ db }),
    sessionLifetimeMs: 60_000,
    now: clock.now,
    logger,
  });
  for (const email of [ADMIN.email, 'nobody@example.org', 'no address']) {
    const attempt = signIn.login({ email, password: 'wrong password' }, { address: null, device: null }, 'test');
    await expect(attempt).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: 'The e-mail address or the password is wrong.' });
  }
  expect(checked).toEqual([expect.stringContaining('$argon2id$'), null, null]);
});
