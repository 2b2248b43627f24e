import { createCipheriv, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { base64url, decodeJwt, decodeProtectedHeader, exportSPKI, importJWK, SignJWT, type CryptoKey, type JWK } from 'jose';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { secretsOf } from '@novacron/secrets';
import { createKeyring } from '../src/keyring.ts';
import { openDatabase, type Database } from '../src/store/database.ts';
import { login, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let db: Database;
let signing: { kid: string; key: CryptoKey };
let accessToken: string;
let viewer: Viewer;

const authenticate = (token: string) => identity.service.authenticator.authenticate(token, null);
const keyringOf = ({ masterKey, clock }: TestIdentity) =>
  createKeyring({ db, secrets: secretsOf(masterKey), now: clock.now, logger: pino({ level: 'silent' }), tokenLifetimeMs: 600_000 });

beforeAll(async () => {
  identity = await startIdentity();
  db = openDatabase(identity.databaseUrl);
  await identity.service.bootstrap();
  ({ accessToken, viewer } = await login(identity));
  signing = await keyringOf(identity).signingKey();
});
afterAll(async () => {
  await db?.$disconnect();
  await identity?.close();
});

const seconds = () => Math.floor(identity.clock.now().getTime() / 1000);

interface Changes {
  header?: object;
  claims?: object;
  key?: Parameters<SignJWT['sign']>[0];
}

/** A token as ours, but for what is changed; undefined takes away. */
const forge = ({ header = {}, claims = {}, key = signing.key }: Changes) =>
  new SignJWT({
    iss: 'novacron',
    aud: 'novacron',
    sub: viewer.userId,
    sid: viewer.sessionId,
    jti: newId(),
    iat: seconds(),
    exp: seconds() + 60,
    ...claims,
  })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'JWT', kid: signing.kid, ...header })
    .sign(key);

const REFRESH = 'mutation ($t: String!) { refreshSession(refreshToken: $t) { accessToken } }';
const kidOf = ({ accessToken: token }: { accessToken: string }) => decodeProtectedHeader(token).kid;
const encode = (value: object) => base64url.encode(JSON.stringify(value));

describe('an access token', () => {
  it('names its key and algorithm', () => {
    expect(decodeProtectedHeader(accessToken)).toEqual({ alg: 'EdDSA', typ: 'JWT', kid: signing.kid });
  });

  it('is one when it says all that ours say', async () => {
    expect((await authenticate(await forge({}))).viewer).toEqual(viewer);
  });

  it.each<[string, Changes]>([
    ['for another audience', { claims: { aud: 'someone' } }],
    ['for no audience', { claims: { aud: undefined } }],
    ['from another issuer', { claims: { iss: 'someone' } }],
    ['from no issuer', { claims: { iss: undefined } }],
    ['without an end', { claims: { exp: undefined } }],
    ['without a beginning', { claims: { iat: undefined } }],
    ['without an id', { claims: { jti: undefined } }],
    ['without a user', { claims: { sub: undefined } }],
    ['without a session', { claims: { sid: undefined } }],
    ['whose user is no id', { claims: { sub: "'; --" } }],
    ['whose session is no id', { claims: { sid: 7 } }],
    ['of another user', { claims: { sub: newId() } }],
    ['of another session', { claims: { sid: newId() } }],
    ['of another kind', { header: { typ: 'logout+jwt' } }],
    ['of an unknown key', { header: { kid: newId() } }],
    ['without a key', { header: { kid: undefined } }],
    ['that is not yet one', { claims: { nbf: 4_000_000_000 } }],
    ['that was made in the future', { claims: { iat: 4_000_000_000, exp: 4_000_000_600 } }],
  ])('is refused %s', async (_what, changes) => {
    await expect(authenticate(await forge(changes))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('is refused when it has expired', async () => {
    const expired = await forge({ claims: { exp: seconds() } });
    await expect(authenticate(expired)).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('expired') });
  });

  it('is refused without a signature (alg none)', async () => {
    const [, claims = ''] = accessToken.split('.');
    for (const alg of ['none', 'None', 'NONE']) {
      const unsigned = `${encode({ alg, typ: 'JWT', kid: signing.kid })}.${claims}.`;
      await expect(authenticate(unsigned)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    }
  });

  it('is refused when the public key was taken for a secret (HS256)', async () => {
    const { keys } = await identity.service.authenticator.jwks();
    const jwk = keys[0] as JWK;
    const spki = await exportSPKI((await importJWK({ ...jwk, ext: true }, 'EdDSA')) as CryptoKey); // asymmetric, so a CryptoKey
    for (const secret of [Buffer.from(spki), Buffer.from(jwk.x ?? '', 'base64url'), Buffer.from(JSON.stringify(jwk))]) {
      const token = await forge({ header: { alg: 'HS256' }, key: createSecretKey(secret) });
      await expect(authenticate(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    }
  });

  it('is refused when it brings its own key', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const jwk = publicKey.export({ format: 'jwk' });
    await expect(authenticate(await forge({ header: { jwk }, key: privateKey }))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    await expect(authenticate(await forge({ header: { alg: 'RS256' }, key: rsa }))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('is refused when it was changed', async () => {
    const [header = '', , signature = ''] = accessToken.split('.');
    const claims = encode({ iss: 'novacron', aud: 'novacron', sub: newId(), sid: newId(), jti: newId(), iat: seconds(), exp: seconds() + 60 });
    await expect(authenticate(`${header}.${claims}.${signature}`)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it.each(['', 'x', 'a.b', 'a.b.c', '..', 'e30.e30.e30', 'x'.repeat(5_000), '\u0000'])('is not %j', async (text) => {
    await expect(authenticate(text)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('costs one query, and a made-up key none', async () => {
    const query = vi.spyOn(pg.Client.prototype, 'query');
    try {
      await authenticate(accessToken);
      expect(query).toHaveBeenCalledTimes(1);
      const made = await Promise.all(Array.from({ length: 20 }, () => forge({ header: { kid: newId() } })));
      query.mockClear();
      await Promise.allSettled(made.map(authenticate));
      expect(query).not.toHaveBeenCalled();
      identity.clock.advance(1_000);
      await Promise.allSettled(made.map(authenticate));
      expect(query).toHaveBeenCalledTimes(1);
    } finally {
      query.mockRestore();
    }
  });
});

describe('the signing key', () => {
  it('is one for all processes that start at once', async () => {
    const fresh = await startIdentity();
    try {
      const rings = await Promise.all([fresh.service, fresh.another(), fresh.another()].map((one) => one.authenticator.jwks()));
      expect(new Set(rings.flatMap(({ keys }) => keys.map((key) => (key as JWK).kid))).size).toBe(1);
    } finally {
      await fresh.close();
    }
  });

  it('is shown without its private part, and kept sealed', async () => {
    const { keys } = await identity.service.authenticator.jwks();
    expect(keys).toEqual([{ kty: 'OKP', crv: 'Ed25519', x: expect.any(String), kid: signing.kid, alg: 'EdDSA', use: 'sig' }]);
    const [row] = await identity.sql("SELECT encode(private_jwk, 'escape') AS text FROM identity.signing_keys");
    expect(row?.['text']).not.toMatch(/"d"|OKP/);
  });

  it('changes, and sessions and tokens live on until they end', async () => {
    const before = await login(identity);
    const elsewhere = identity.another();
    const both = [identity.service.authenticator, elsewhere.authenticator];
    await elsewhere.authenticator.authenticate(before.accessToken, null);
    await identity.service.rotateSigningKey();
    expect(kidOf(await login(identity))).toBe(kidOf(before)); // the other process has not heard of the new one
    identity.clock.advance(60_000);
    for (const authenticator of both) expect((await authenticator.jwks()).keys).toHaveLength(2);
    identity.clock.advance(60_000);
    const after = await login(identity);
    expect(kidOf(after)).not.toBe(kidOf(before));
    for (const authenticator of both) {
      await authenticator.authenticate(before.accessToken, null);
      await authenticator.authenticate(after.accessToken, null);
    }
    const { data } = await identity.ask(null, REFRESH, { t: before.refreshToken });
    expect(kidOf(data['refreshSession'])).toBe(kidOf(after));

    // The other process may have signed with the old key for as long as it trusts what it has read.
    identity.clock.advance(600_000 + 60_000 - 1);
    expect((await identity.service.authenticator.jwks()).keys).toHaveLength(2);
    identity.clock.advance(1);
    expect((await identity.service.authenticator.jwks()).keys).toHaveLength(1);
    await identity.service.rotateSigningKey();
    expect(await identity.sql('SELECT 1 FROM identity.signing_keys')).toHaveLength(2);
  });

  it('is replaced by one process of many that find it old', async () => {
    const fresh = await startIdentity();
    try {
      const processes = [fresh.service, fresh.another(), fresh.another()];
      await fresh.service.authenticator.jwks();
      fresh.clock.advance(365 * 24 * 3_600_000);
      const rotateOld = () => Promise.all(processes.map((one) => one.rotateSigningKeyOlderThan(24 * 3_600_000)));
      await rotateOld();
      expect(await fresh.sql('SELECT 1 FROM identity.signing_keys WHERE retired_at IS NOT NULL')).toHaveLength(1);
    } finally {
      await fresh.close();
    }
  });

  it('does not open with another master key', async () => {
    const stranger = identity.another({ secrets: secretsOf(randomBytes(32)) });
    await expect(stranger.authenticator.jwks()).rejects.toThrow('master key');
  });
});

it('opens a key that was sealed before keys had ids', async () => {
  const old = await startIdentity();
  try {
    const [{ kid }] = (await old.service.authenticator.jwks()).keys as [{ kid: string }]; // the first one makes it
    const [{ private_jwk: sealed, key_id: keyId }] = (await old.sql('SELECT private_jwk, key_id FROM identity.signing_keys')) as [{ private_jwk: Buffer<ArrayBuffer>; key_id: string }];
    const plain = secretsOf(old.masterKey).open({ sealed, keyId }, `signing-key:${kid}`);
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', old.masterKey, nonce).setAAD(Buffer.from(kid));
    const text = Buffer.concat([cipher.update(plain), cipher.final()]);
    await old.sql('UPDATE identity.signing_keys SET private_jwk = $1, key_id = NULL', [Buffer.concat([nonce, cipher.getAuthTag(), text])]);
    const another = old.another();
    await another.bootstrap();
    expect((await another.authenticator.jwks()).keys).toMatchObject([{ kid }]);
    await login(old);
  } finally {
    await old.close();
  }
});

describe('RS256', () => {
  let rsa: TestIdentity;
  beforeAll(async () => {
    rsa = await startIdentity({ tokenAlgorithm: 'RS256' });
    await rsa.service.bootstrap();
  });
  afterAll(() => rsa?.close());

  it('signs for whoever asks for it', async () => {
    const { accessToken: token, viewer: known } = await login(rsa);
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'RS256', typ: 'JWT' });
    expect((await rsa.service.authenticator.jwks()).keys).toEqual([{ kty: 'RSA', n: expect.any(String), e: 'AQAB', kid: expect.any(String), alg: 'RS256', use: 'sig' }]);
    expect((await rsa.service.authenticator.authenticate(token, null)).viewer).toEqual(known);
  });

  it('is no secret for HS256, and no key for another algorithm', async () => {
    const [header = '', claims = ''] = (await login(rsa)).accessToken.split('.');
    const { kid } = decodeProtectedHeader(`${header}.${claims}.`);
    const [jwk] = (await rsa.service.authenticator.jwks()).keys as JWK[];
    const spki = await exportSPKI((await importJWK({ ...jwk, ext: true }, 'RS256')) as CryptoKey); // asymmetric, so a CryptoKey
    const payload = decodeJwt(`${header}.${claims}.`);
    const sign = (alg: string, key: Parameters<SignJWT['sign']>[0]) => new SignJWT(payload).setProtectedHeader({ alg, typ: 'JWT', ...(kid === undefined ? {} : { kid }) }).sign(key);
    const forged = [
      await sign('HS256', createSecretKey(Buffer.from(spki))),
      await sign('HS256', createSecretKey(Buffer.from(spki.trim()))),
      await sign('EdDSA', generateKeyPairSync('ed25519').privateKey),
      await sign('RS256', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    ];
    for (const token of forged) await expect(rsa.service.authenticator.authenticate(token, null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('comes and goes by configuration, and nobody is signed out', async () => {
    const [withRsa, withEdDsa] = [rsa.service, rsa.another({ tokenAlgorithm: 'EdDSA' })];
    const before = await login(rsa);
    await withRsa.rotateSigningKeyOlderThan(Infinity);
    expect((await withRsa.authenticator.jwks()).keys).toHaveLength(1);
    await withEdDsa.rotateSigningKeyOlderThan(Infinity);
    rsa.clock.advance(120_000);
    const after = await login(rsa);
    expect(decodeProtectedHeader(after.accessToken).alg).toBe('EdDSA');
    for (const { authenticator } of [withRsa, withEdDsa]) {
      await authenticator.authenticate(before.accessToken, null);
      await authenticator.authenticate(after.accessToken, null);
    }
    expect((await rsa.ask(null, REFRESH, { t: before.refreshToken })).error).toBeNull();
  });
});
