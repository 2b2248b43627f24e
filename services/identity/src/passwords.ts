import { argon2, randomBytes, timingSafeEqual, type Argon2Parameters } from 'node:crypto';
import { promisify } from 'node:util';
import { createHashQueue } from './hash-queue.ts';

/** argon2id, on the thread pool. */
export type Derive = (parameters: Argon2Parameters) => Promise<Buffer>;

/** What a hash costs: memory in KiB. */
export type Cost = Pick<Argon2Parameters, 'memory' | 'passes' | 'parallelism'>;

const argon2Async = promisify(argon2);
const derive: Derive = (parameters) => argon2Async('argon2id', parameters);

/** OWASP's first choice for argon2id: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html */
const COST: Cost = { memory: 19_456, passes: 2, parallelism: 1 };
const VERSION = 19; // 1.3, the only one that node:crypto computes (RFC 9106)
const SALT_BYTES = 16;
const TAG_BYTES = 32;

export interface Hashing {
  /** The PHC string to store: it carries its own salt and cost. */
  hash(password: string): Promise<string>;
  /**
   * True when the password is the one that was hashed. Without a stored hash it does the same work and answers
   * false, so that nobody can tell by the time whether an account exists.
   */
  verify(password: string, stored: string | null): Promise<boolean>;
}

/** Each waits for its turn: RATE_LIMITED when that would take too long (hash-queue.ts). */
export interface Passwords extends Hashing {
  /** For who has something to look up first: as any of them would be refused. */
  requireRoom(): void;
  /** Several hashes in one turn, and what is decided by them before anybody else's are looked at. */
  inTurn<Result>(hashes: number, work: (hashing: Hashing) => Promise<Result>): Promise<Result>;
  /** Was it hashed at less than what a new one costs? */
  isOutdated(stored: string): boolean;
}

/** `now` in milliseconds: for the estimate of how long the queue is. */
export function createPasswords({ run = derive, cost = COST, now = Date.now }: { run?: Derive; cost?: Cost; now?: () => number } = {}): Passwords {
  const { inTurn, requireRoom } = createHashQueue(now);
  const tagOf = (password: string, { nonce, tagLength, ...at }: Omit<Argon2Parameters, 'message'>) =>
    // NFC: the same password is typed as other code points on another keyboard (RFC 8265, 4.2.2)
    run({ message: password.normalize('NFC'), nonce, tagLength, ...at });
  const hashing: Hashing = {
    async hash(password) {
      const nonce = randomBytes(SALT_BYTES);
      return format(cost, nonce, await tagOf(password, { nonce, tagLength: TAG_BYTES, ...cost }));
    },
    async verify(password, stored) {
      const { tag, ...parameters } = parse(stored ?? format(cost, randomBytes(SALT_BYTES), randomBytes(TAG_BYTES)));
      const same = timingSafeEqual(await tagOf(password, { ...parameters, tagLength: tag.length }), tag);
      return same && stored !== null;
    },
  };
  return {
    requireRoom,
    hash: (password) => inTurn(1, () => hashing.hash(password)),
    verify: (password, stored) => inTurn(1, () => hashing.verify(password, stored)),
    inTurn: (hashes, work) => inTurn(hashes, () => work(hashing)),
    isOutdated(stored) {
      const { memory, passes, tag } = parse(stored);
      return memory < cost.memory || passes < cost.passes || tag.length < TAG_BYTES;
    },
  };
}

const unpadded = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '');

/** https://github.com/P-H-C/phc-string-format */
const format = ({ memory, passes, parallelism }: Cost, salt: Buffer, tag: Buffer): string =>
  `$argon2id$v=${VERSION}$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(tag)}`;

const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

function parse(stored: string) {
  const [, memory, passes, parallelism, salt, tag] = PHC.exec(stored) ?? [];
  if (salt === undefined || tag === undefined) throw new Error('A stored password hash is not in the form that we write.');
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    nonce: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  };
}
