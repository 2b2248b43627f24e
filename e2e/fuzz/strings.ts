import fc from 'fast-check';
import { NOBODY, type KnownIds } from './known-ids.ts';

/** How much of it is meant to go wrong. */
export type Manner = 'tame' | 'wild';

/** Where a value stands: the name of its argument or input field, and the root field. */
export interface Position {
  name: string;
  field: string;
}

/** What no parser of ours should stumble over. */
export const ODD_STRINGS = ['', ' ', 'null', '__proto__', 'constructor', "'; DROP TABLE vms.vm; --", '../../../etc/passwd', '\u0000', '\ud800', '%00', '${7*7}', '<script>', '🦀'.repeat(40), 'x'.repeat(5_000), NOBODY, '-1', '1e999', '10GiB', 'http://127.0.0.1:1/x', 'qemu+tcp://127.0.0.1:1/system'];

/** Words that services know, by the names of what takes them. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  role: ['viewer', 'operator', 'tenant_admin'],
  format: ['qcow2', 'raw'],
  kind: ['NAT', 'ISOLATED', 'nat', 'isolated', 'overlay', 'vm.start'],
  mode: ['LIVE', 'OFFLINE', 'live', 'offline'],
  state: ['READY', 'AVAILABLE', 'IN_USE'],
  strategy: ['spread', 'pack'],
  tier: ['standard', 'fast'],
  url: ['http://127.0.0.1:1/image.qcow2'],
  uri: ['qemu+tcp://127.0.0.1:1/system'],
  path: ['/var/lib/novacron/fuzz'],
  sha256: ['0'.repeat(64)],
  password: ['a password for tests'],
  // of pages, most of which are the first
  after: [],
  before: [],
};

const name = fc.stringMatching(/^[a-z]{3,10}$/);
/** Optional, but needed by someone with several tenants, or for something to boot and to be stored. */
export const OFTEN_NEEDED: ReadonlySet<string> = new Set(['tenantId', 'size', 'kernel', 'initrd', 'cmdline']);

/** A string as somebody means it who reads the documentation. */
export function sensible({ name: place, field }: Position, ids: KnownIds): fc.Arbitrary<string> {
  if (ids.knows(place) || /ids?$/i.test(place)) return fc.nat(50).map((index) => ids.placeholderFor(place, field, index));
  if (place === 'cidr') return fc.nat(255).map((part) => `10.99.${part}.0/24`);
  if (place === 'email') return name.map((text) => `${text}@novacron.test`);
  const words = WORDS[place];
  return words === undefined || words.length === 0 ? name : fc.constantFrom(...words);
}

/** A string as nobody means it. */
export const odd = fc.oneof(fc.constantFrom(...ODD_STRINGS), fc.string({ maxLength: 20 }));
