import { exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';
import { newId } from '@novacron/core';
import { checkMasterKey, openBox, sealBox } from '@novacron/secrets';
import type { Logger } from 'pino';
import { putSigningKey, readSigningKeys, type StoredKey } from './store/signing-keys.ts';
import type { Database } from './store/database.ts';

/** https://www.rfc-editor.org/rfc/rfc8037 with Ed25519. */
export const ALGORITHM = 'EdDSA';
/** How long another process may go on signing with a key after it was retired. */
const FRESH_MS = 60_000;
/** Tokens with made-up key ids must not turn into queries. */
const UNKNOWN_KEY_PAUSE_MS = 1_000;

export interface Keyring {
  signingKey(): Promise<{ kid: string; key: CryptoKey }>;
  /** Null for a key that we do not have, or whose last token has expired. */
  verificationKey(kid: string): Promise<CryptoKey | null>;
  jwks(): Promise<{ keys: JWK[] }>;
  /** From now on a new key signs; the one before verifies until the last token it signed has expired. */
  rotate(): Promise<void>;
  /** Rotates when the signing key is older than this. */
  rotateOlderThan(ageMs: number): Promise<void>;
}

interface KeyringOptions {
  db: Database;
  masterKey: Buffer;
  now: () => Date;
  logger: Logger;
  tokenLifetimeMs: number;
}

interface Ring {
  readAt: number;
  signing: { kid: string; key: CryptoKey };
  verifying: Map<string, { key: CryptoKey; jwk: JWK; until: number }>;
}

/** The signing keys, kept in memory; the first one is made when it is first needed, by one process alone. */
export function createKeyring({ db, masterKey, now, logger, tokenLifetimeMs }: KeyringOptions): Keyring {
  checkMasterKey(masterKey);
  let ring: Ring | null = null;
  let reading: Promise<Ring> | null = null;

  const verifiesMs = tokenLifetimeMs + FRESH_MS;
  const forgottenAt = (): Date => new Date(now().getTime() - verifiesMs);

  async function put(onlyFirst: boolean): Promise<void> {
    const kid = newId<string>();
    const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { crv: 'Ed25519', extractable: true });
    const [publicJwk, privateJwk] = [await exportJWK(publicKey), await exportJWK(privateKey)];
    const key = { kid, publicJwk, privateJwk: sealBox(masterKey, kid, Buffer.from(JSON.stringify(privateJwk))) };
    await putSigningKey(db, key, { at: now(), since: forgottenAt(), onlyFirst });
  }

  async function read(): Promise<Ring> {
    const readAt = now().getTime();
    let stored = await readSigningKeys(db, forgottenAt());
    if (!stored.some((key) => key.retiredAt === null)) {
      await put(true);
      stored = await readSigningKeys(db, forgottenAt());
    }
    const active = stored.find((key) => key.retiredAt === null);
    if (active === undefined) throw new Error('There is no signing key, though one was made just now.');
    const verifying = new Map<string, { key: CryptoKey; jwk: JWK; until: number }>();
    for (const { kid, publicJwk, retiredAt } of stored) {
      const jwk = { ...publicJwk, kid, alg: ALGORITHM, use: 'sig' };
      verifying.set(kid, { key: await importKey(jwk), jwk, until: retiredAt === null ? Infinity : retiredAt.getTime() + verifiesMs });
    }
    ring = { readAt, signing: { kid: active.kid, key: await importKey(open(masterKey, active)) }, verifying };
    return ring;
  }

  /** The ring, read again when it is older than so much; who asks meanwhile waits for the same reading. */
  async function current(maxAgeMs: number): Promise<Ring> {
    if (ring !== null && now().getTime() - ring.readAt < maxAgeMs) return ring;
    reading ??= read().finally(() => {
      reading = null;
    });
    return reading;
  }

  async function rotate(): Promise<void> {
    await put(false);
    const { signing } = await read();
    logger.info({ kid: signing.kid }, 'signing key rotated');
  }

  return {
    signingKey: async () => (await current(FRESH_MS)).signing,
    async verificationKey(kid) {
      const known = (await current(FRESH_MS)).verifying.get(kid) ?? (await current(UNKNOWN_KEY_PAUSE_MS)).verifying.get(kid);
      return known !== undefined && now().getTime() < known.until ? known.key : null;
    },
    async jwks() {
      const keys = [...(await current(FRESH_MS)).verifying.values()];
      return { keys: keys.filter((key) => now().getTime() < key.until).map((key) => key.jwk) };
    },
    rotate,
    async rotateOlderThan(ageMs) {
      const { signing } = await current(FRESH_MS);
      if (now().getTime() - madeAt(signing.kid) > ageMs) await rotate();
    },
  };
}

/** A key's id is a UUIDv7: its first 48 bits are milliseconds since 1970 (RFC 9562, 5.7). */
const madeAt = (kid: string): number => Number.parseInt(kid.replaceAll('-', '').slice(0, 12), 16);

async function importKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, ALGORITHM);
  if (key instanceof Uint8Array) throw new Error('A signing key is symmetric.'); // only "oct" keys are bytes
  return key;
}

function open(masterKey: Buffer, { kid, privateJwk }: StoredKey): JWK {
  try {
    return JSON.parse(openBox(masterKey, kid, privateJwk).toString('utf8')) as JWK; // authenticated: it is what we sealed
  } catch (cause) {
    throw new Error('The master key does not open the signing key: is it the one that this database was made with?', { cause });
  }
}
