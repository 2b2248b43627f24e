/** IPv4 ranges, as numbers: pure. */
export interface Cidr {
  /** The first address of the range. */
  readonly base: number;
  readonly prefix: number;
}

/** The number of an IPv4 address; null for what is none. Four decimal parts without leading zeros. */
export function parseAddress(text: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return null;
  const parts = match.slice(1);
  if (parts.some((part) => Number(part) > 255 || String(Number(part)) !== part)) return null;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export const formatAddress = (address: number): string => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');

const sizeOf = (prefix: number): number => 2 ** (32 - prefix);

/** A range: "10.1.0.0/24". Null for what is none; `hostBits` where the address is not the range's first. */
export function parseCidr(text: string): (Cidr & { hostBits: boolean }) | null {
  const [address = '', prefixText = '', ...rest] = text.split('/');
  const number = parseAddress(address);
  if (number === null || rest.length > 0 || !/^(\d|[12]\d|3[0-2])$/.test(prefixText)) return null;
  const prefix = Number(prefixText);
  const base = Math.floor(number / sizeOf(prefix)) * sizeOf(prefix);
  return { base, prefix, hostBits: base !== number };
}

/** A range that we wrote ourselves. */
export function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text);
  if (!cidr) throw new TypeError(`"${text}" is no IPv4 range.`);
  return { base: cidr.base, prefix: cidr.prefix };
}

export const formatCidr = ({ base, prefix }: Cidr): string => `${formatAddress(base)}/${prefix}`;

const lastOf = ({ base, prefix }: Cidr): number => base + sizeOf(prefix) - 1;

export const overlaps = (one: Cidr, other: Cidr): boolean => one.base <= lastOf(other) && other.base <= lastOf(one);

/** The network's own address on its bridge: its guests' gateway. */
export const gatewayOf = ({ base }: Cidr): string => formatAddress(base + 1);

export const netmaskOf = ({ prefix }: Cidr): string => formatAddress(2 ** 32 - sizeOf(prefix));

/** RFC 1918. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].map(cidrOf);

/** Is all of it nobody's on the internet? */
export const isPrivate = (cidr: Cidr): boolean => PRIVATE.some(({ base, prefix }) => cidr.prefix >= prefix && overlaps(cidr, { base, prefix }));
