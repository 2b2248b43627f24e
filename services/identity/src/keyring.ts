import { exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';
import { newId } from '@novacron/core';
import type { Secrets } from '@novacron/secrets';
import type { Logger } from 'pino';
import { putSigningKey, readSigningKeys, type StoredKey, type TokenAlgorithm } from './store/signing-keys.ts';
import type { Database } from './store/database.ts';

/** What a process has read of the keys is good for so long. */
const FRESH_MS = 60_000;
/** How long a new key is shown before it signs: as long as other processes, and whoever caches our JWKS, may not know of it. */
const LEAD_MS = 2 * FRESH_MS;
/** Tokens with made-up key ids must not turn into queries. */
const UNKNOWN_KEY_PAUSE_MS = 1_000;

export interface SigningKey {
  kid: string;
  algorithm: TokenAlgorithm;
  key: CryptoKey;
}

export interface Keyring {
  signingKey(): Promise<SigningKey>;
  /** Null for a key that we do not have, or whose last token has expired. */
  verificationKey(kid: string): Promise<SigningKey | null>;
  jwks(): Promise<{ keys: JWK[] }>;
  /** A new key is shown now and signs in two minutes; the one before verifies until the last token it signed has expired. */
  rotate(): Promise<void>;
  /** Rotates when the newest key is older than this, or is of another algorithm than is asked for. */
  rotateOlderThan(ageMs: number): Promise<void>;
}

interface KeyringOptions {
  db: Database;
  secrets: Secrets;
  now: () => Date;
  logger: Logger;
  tokenLifetimeMs: number;
  /** Of new keys: EdDSA. Tokens of any other that we have made are good to their end. */
  algorithm?: TokenAlgorithm | undefined;
}

interface RingKey extends SigningKey {
  jwk: JWK;
  /** Signs until then. */
  retiredAt: number;
  /** Verifies until then. */
  until: number;
  stored: StoredKey;
}

interface Ring {
  readAt: number;
  /** In the order in which they sign; the last one is not retired. */
  keys: readonly RingKey[];
  newest: RingKey;
  /** By kid: private keys that were needed. */
  opened: Map<string, SigningKey>;
}

/** The signing keys, kept in memory; the first one is made when it is first needed, by one process alone. */
export function createKeyring({ db, secrets, now, logger, tokenLifetimeMs, algorithm = 'EdDSA' }: KeyringOptions): Keyring {
  let ring: Ring | null = null;
  let reading: Promise<Ring> | null = null;

  const verifiesMs = tokenLifetimeMs + FRESH_MS;
  const forgottenAt = (): Date => new Date(now().getTime() - verifiesMs);

  async function put(replaces: string | null): Promise<void> {
    const kid = newId<string>();
    const { publicKey, privateKey } = await generateKeyPair(algorithm, { ...(algorithm === 'EdDSA' ? { crv: 'Ed25519' } : { modulusLength: 2048 }), extractable: true });
    const [publicJwk, privateJwk] = [await exportJWK(publicKey), await exportJWK(privateKey)];
    const { sealed, keyId } = secrets.seal(Buffer.from(JSON.stringify(privateJwk)), sealedFor(kid));
    const key = { kid, algorithm, publicJwk, privateJwk: sealed, keyId };
    const at = now();
    await putSigningKey(db, key, { at, retireAt: new Date(at.getTime() + LEAD_MS), since: forgottenAt(), replaces });
  }

  async function read(): Promise<Ring> {
    const readAt = now().getTime();
    let stored = await readSigningKeys(db, forgottenAt());
    if (!stored.some((key) => key.retiredAt === null)) {
      await put(null);
      stored = await readSigningKeys(db, forgottenAt());
    }
    const keys = await Promise.all(stored.map((key) => ringKey(key, verifiesMs)));
    const newest = keys.find((key) => key.retiredAt === Infinity);
    if (newest === undefined) throw new Error('There is no signing key, though one was made just now.');
    ring = { readAt, keys, newest, opened: new Map() };
    await signer(ring); // a master key that is not ours is found out now
    return ring;
  }

  /** The key that signs now. */
  async function signer({ keys, newest, opened }: Ring): Promise<SigningKey> {
    const { stored, kid, algorithm: alg } = keys.find((key) => now().getTime() < key.retiredAt) ?? newest;
    const known = opened.get(kid);
    if (known !== undefined) return known;
    const key = { kid, algorithm: alg, key: await importKey(open(secrets, stored), alg) };
    opened.set(kid, key);
    return key;
  }

  /** The ring, read again when it is older than so much; who asks meanwhile waits for the same reading. */
  async function current(maxAgeMs: number): Promise<Ring> {
    if (ring !== null && now().getTime() - ring.readAt < maxAgeMs) return ring;
    reading ??= read().finally(() => {
      reading = null;
    });
    return reading;
  }

  async function replace(before: RingKey): Promise<void> {
    await put(before.kid);
    const { newest } = await read();
    logger.info({ kid: newest.kid, algorithm: newest.algorithm }, 'signing key rotated');
  }

  const find = ({ keys }: Ring, kid: string): RingKey | undefined => keys.find((key) => key.kid === kid);

  return {
    signingKey: async () => signer(await current(FRESH_MS)),
    async verificationKey(kid) {
      const known = find(await current(FRESH_MS), kid) ?? find(await current(UNKNOWN_KEY_PAUSE_MS), kid);
      return known !== undefined && now().getTime() < known.until ? known : null;
    },
    async jwks() {
      const { keys } = await current(FRESH_MS);
      return { keys: keys.filter((key) => now().getTime() < key.until).map((key) => key.jwk) };
    },
    rotate: async () => replace((await read()).newest),
    async rotateOlderThan(ageMs) {
      const { newest } = await read(); // another process may have been here just now
      if (now().getTime() - newest.stored.createdAt.getTime() > ageMs || newest.algorithm !== algorithm) await replace(newest);
    },
  };
}

async function ringKey(stored: StoredKey, verifiesMs: number): Promise<RingKey> {
  const { kid, algorithm } = stored;
  const jwk = { ...stored.publicJwk, kid, alg: algorithm, use: 'sig' };
  const retiredAt = stored.retiredAt?.getTime() ?? Infinity;
  return { kid, algorithm, jwk, key: await importKey(jwk, algorithm), retiredAt, until: retiredAt + verifiesMs, stored };
}

async function importKey(jwk: JWK, algorithm: TokenAlgorithm): Promise<CryptoKey> {
  const key = await importJWK(jwk, algorithm);
  if (key instanceof Uint8Array) throw new Error('A signing key is symmetric.'); // only "oct" keys are bytes
  return key;
}

const sealedFor = (kid: string): string => `signing-key:${kid}`;

function open(secrets: Secrets, { kid, privateJwk, keyId }: StoredKey): JWK {
  try {
    const opened = keyId === null ? secrets.openBare(privateJwk, kid) : secrets.open({ sealed: privateJwk, keyId }, sealedFor(kid));
    return JSON.parse(opened.toString('utf8')) as JWK; // authenticated: it is what we sealed
  } catch (cause) {
    throw new Error('The master key does not open the signing key: is it the one that this database was made with?', { cause });
  }
}
