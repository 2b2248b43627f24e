import { legible } from './entry.ts';

/** What stands in place of a secret. */
export const REDACTED = '[redacted]';

/** Inputs of these names are secret, wherever they stand: a new one is named so. User data of cloud-init holds passwords. */
const SECRET = /passw|secret|token$|codes?$|passphrase|privatekey|userdata|networkconfig|^authorization$/i;

const LIMITS = { text: 500, items: 50, depth: 6, characters: 16_384 } as const;

/** By which somebody says who it is before anybody knows: where it was wrong, it may be a password in the wrong field. */
const NAMES = /^(email|username)$/i;
/** Mutations that are asked for by such a name, and whether it is one if they succeed. */
const BY_NAME: ReadonlyMap<string, boolean> = new Map([
  ['login', true],
  ['register', true],
  ['requestPasswordReset', false], // it succeeds for everybody
]);

/** What a mutation's success says of the name that it was asked for by; undefined where it is asked for by none. */
export const showsName = (mutation: string): boolean | undefined => BY_NAME.get(mutation);

/** Arguments as the audit keeps them: without secrets, and no longer than anybody reads; without names, too, where nobody has shown whose they are. */
export function redacted(value: unknown, { names = true } = {}): unknown {
  const written = redact(value, '', 0, names ? [SECRET] : [SECRET, NAMES]);
  return JSON.stringify(written).length > LIMITS.characters ? { truncated: true } : written;
}

function redact(value: unknown, name: string, depth: number, secrets: readonly RegExp[]): unknown {
  if (value === null || value === undefined) return null;
  if (secrets.some((secret) => secret.test(name))) return REDACTED;
  if (typeof value === 'string') return legible(withoutCredentials(value), LIMITS.text);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'boolean') return value;
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== 'object') return String(value);
  if (depth === LIMITS.depth) return '[deeper]';
  if (Array.isArray(value)) return value.slice(0, LIMITS.items).map((item) => redact(item, name, depth + 1, secrets));
  const properties = Object.entries(value).slice(0, LIMITS.items);
  return Object.fromEntries(properties.map(([key, inner]) => [legible(key), redact(inner, key, depth + 1, secrets)]));
}

/** A URL's user, password and query may let in whoever knows them. */
const withoutCredentials = (text: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text.replace(/\/\/[^/?#]*@/, `//${REDACTED}@`).replace(/\?[^#]*/, `?${REDACTED}`) : text;
