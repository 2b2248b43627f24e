import { legible } from './entry.ts';

/** What stands in place of a secret. */
export const REDACTED = '[redacted]';

/** Inputs of these names are secret, wherever they stand: a new one is named so. User data of cloud-init holds passwords. */
const SECRET = /passw|secret|token$|codes?$|passphrase|privatekey|userdata|networkconfig|^authorization$/i;

const LIMITS = { text: 500, items: 50, depth: 6, characters: 16_384 } as const;

/** Arguments as the audit keeps them: without secrets, and no longer than anybody reads. */
export function redacted(value: unknown): unknown {
  const written = redact(value, '', 0);
  return JSON.stringify(written).length > LIMITS.characters ? { truncated: true } : written;
}

function redact(value: unknown, name: string, depth: number): unknown {
  if (value === null || value === undefined) return null;
  if (SECRET.test(name)) return REDACTED;
  if (typeof value === 'string') return legible(withoutCredentials(value), LIMITS.text);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'boolean') return value;
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== 'object') return String(value);
  if (depth === LIMITS.depth) return '[deeper]';
  if (Array.isArray(value)) return value.slice(0, LIMITS.items).map((item) => redact(item, name, depth + 1));
  const properties = Object.entries(value).slice(0, LIMITS.items);
  return Object.fromEntries(properties.map(([key, inner]) => [legible(key), redact(inner, key, depth + 1)]));
}

/** A URL's user, password and query may let in whoever knows them. */
const withoutCredentials = (text: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text.replace(/\/\/[^/?#]*@/, `//${REDACTED}@`).replace(/\?[^#]*/, `?${REDACTED}`) : text;
