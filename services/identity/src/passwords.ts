import { argon2, randomBytes, timingSafeEqual, type Argon2Parameters } from 'node:crypto';
import { promisify } from 'node:util';

/** argon2id, on the thread pool. */
export type Derive = (parameters: Argon2Parameters) => Promise<Buffer>;

const argon2Async = promisify(argon2);
const derive: Derive = (parameters) => argon2Async('argon2id', parameters);

/** OWASP's first choice for argon2id: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html */
const COST = { memory: 19_456, passes: 2, parallelism: 1 } as const;
const VERSION = 19; // 1.3, the only one that node:crypto computes (RFC 9106)
const SALT_BYTES = 16;
const TAG_BYTES = 32;

/** Of libuv's four threads one stays free: tokens are signed and verified there too. */
export const HASHES_AT_ONCE = 3;

export interface Passwords {
  /** The PHC string to store: it carries its own salt and cost. */
  hash(password: string): Promise<string>;
  /**
   * True when the password is the one that was hashed. Without a stored hash it does the same work and answers
   * false, so that nobody can tell by the time whether an account exists.
   */
  verify(password: string, stored: string | null): Promise<boolean>;
}

export function createPasswords(run: Derive = derive, atOnce = HASHES_AT_ONCE): Passwords {
  const queued = limitTo(atOnce);
  const tagOf = (password: string, { nonce, tagLength, ...cost }: Omit<Argon2Parameters, 'message'>) =>
    // NFC: the same password is typed as other code points on another keyboard (RFC 8265, 4.2.2)
    queued(() => run({ message: password.normalize('NFC'), nonce, tagLength, ...cost }));
  return {
    async hash(password) {
      const nonce = randomBytes(SALT_BYTES);
      return format(nonce, await tagOf(password, { nonce, tagLength: TAG_BYTES, ...COST }));
    },
    async verify(password, stored) {
      const { tag, ...parameters } = parse(stored ?? format(randomBytes(SALT_BYTES), randomBytes(TAG_BYTES)));
      const same = timingSafeEqual(await tagOf(password, { ...parameters, tagLength: tag.length }), tag);
      return same && stored !== null;
    },
  };
}

const unpadded = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '');

/** https://github.com/P-H-C/phc-string-format */
const format = (salt: Buffer, tag: Buffer): string =>
  `$argon2id$v=${VERSION}$m=${COST.memory},t=${COST.passes},p=${COST.parallelism}$${unpadded(salt)}$${unpadded(tag)}`;

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

/** At most so many at once; the others wait in the order in which they came. */
function limitTo(atOnce: number) {
  let free = atOnce;
  const waiting: (() => void)[] = [];
  return async <Result>(task: () => Promise<Result>): Promise<Result> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}
