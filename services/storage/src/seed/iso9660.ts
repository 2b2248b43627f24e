/**
 * A small ISO 9660 file system: one directory of files, with their true names by Rock Ridge (Linux) and Joliet (Windows).
 * Sources: ECMA-119; SUSP 1.12 and RRIP 1.12 (http://www.ymi.com/ymi/sites/default/files/pdf/Rockridge.pdf); the Joliet
 * specification (https://pismotec.com/cfs/jolspec.html).
 */

const SECTOR = 2048;

const PRIMARY = 16;
const SUPPLEMENTARY = 17;
const TERMINATOR = 18;
/** Path tables, of the primary and the supplementary tree: little-endian first. */
const PATHS = { primary: 19, joliet: 21 } as const;
const ROOT = { primary: 23, joliet: 24 } as const;
const FIRST_FILE = 25;

export interface IsoFile {
  /** Of a-z, 0-9 and -: "user-data". */
  name: string;
  content: Buffer;
}

interface Placed extends IsoFile {
  sector: number;
}

const sectorsFor = (bytes: number): number => Math.max(1, Math.ceil(bytes / SECTOR));

/** The image; the same for the same input. `label` is of A-Z, a-z, 0-9 and _, 16 characters at most: Joliet has room for no more. */
export function writeIso(label: string, files: readonly IsoFile[]): Buffer {
  let next = FIRST_FILE;
  const placed = files
    .toSorted((one, other) => (isoName(one.name) < isoName(other.name) ? -1 : 1)) // directories are in order
    .map(({ name, content }): Placed => {
      const sector = next;
      next += sectorsFor(content.length);
      return { name, content, sector };
    });
  const image = Buffer.alloc(next * SECTOR);
  const put = (sector: number, content: Buffer): void => void content.copy(image, sector * SECTOR);

  put(PRIMARY, volumeDescriptor(label, 'primary', next));
  put(SUPPLEMENTARY, volumeDescriptor(label, 'joliet', next));
  put(TERMINATOR, Buffer.from('\xffCD001\x01', 'latin1'));
  for (const tree of ['primary', 'joliet'] as const) {
    put(PATHS[tree], pathTable(ROOT[tree], 'LE'));
    put(PATHS[tree] + 1, pathTable(ROOT[tree], 'BE'));
    put(ROOT[tree], directory(tree, placed));
  }
  for (const { sector, content } of placed) put(sector, content);
  return image;
}

/** What ISO 9660 itself allows: eight, a dot, three, and a version. */
const isoName = (name: string): string => `${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_').slice(0, 8)}.;1`;

/** Joliet's names are UCS-2, most significant byte first; a version is not needed, and shows in some readers. */
const wide = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();

type Tree = keyof typeof ROOT;

/** ECMA-119 8.4 and 8.5. Dates are left open: nothing of the image depends on when it was made. */
function volumeDescriptor(label: string, tree: Tree, sectors: number): Buffer {
  const block = Buffer.alloc(SECTOR);
  const isJoliet = tree === 'joliet';
  const text = (value: string, at: number, length: number): void => {
    const field = isJoliet ? wide(value.padEnd(length / 2)) : Buffer.from(value.padEnd(length), 'latin1');
    field.copy(block, at, 0, length);
  };
  block.write(isJoliet ? '\x02CD001\x01' : '\x01CD001\x01', 0, 'latin1');
  text('', 8, 32);
  text(label, 40, 32);
  both32(block, sectors, 80);
  if (isJoliet) block.write('%/E', 88, 'latin1'); // UCS-2 level 3
  both16(block, 1, 120);
  both16(block, 1, 124);
  both16(block, SECTOR, 128);
  both32(block, PATH_TABLE_BYTES, 132);
  block.writeUInt32LE(PATHS[tree], 140);
  block.writeUInt32BE(PATHS[tree] + 1, 148);
  record({ sector: ROOT[tree], bytes: SECTOR, name: Buffer.from([0]), isDirectory: true }).copy(block, 156);
  for (const at of [190, 318, 446, 574]) text('', at, 128);
  for (const at of [702, 739, 776]) text('', at, isJoliet ? 36 : 37);
  for (const at of [813, 830, 847, 864]) block.write('0'.repeat(16), at, 'latin1');
  block[881] = 1;
  return block;
}

/** Of the root alone. ECMA-119 9.4. */
const PATH_TABLE_BYTES = 10;
function pathTable(root: number, order: 'LE' | 'BE'): Buffer {
  const table = Buffer.alloc(PATH_TABLE_BYTES);
  table[0] = 1;
  table[`writeUInt32${order}`](root, 2);
  table[`writeUInt16${order}`](1, 6);
  return table;
}

interface Entry {
  sector: number;
  bytes: number;
  name: Buffer;
  isDirectory: boolean;
  /** SUSP entries. */
  system?: Buffer;
}

/** ECMA-119 9.1. */
function record({ sector, bytes, name, isDirectory, system = Buffer.alloc(0) }: Entry): Buffer {
  const start = 33 + name.length + (name.length % 2 === 0 ? 1 : 0);
  const entry = Buffer.alloc(start + system.length + (system.length % 2));
  entry[0] = entry.length;
  both32(entry, sector, 2);
  both32(entry, bytes, 10);
  entry[25] = isDirectory ? 2 : 0;
  both16(entry, 1, 28);
  entry[32] = name.length;
  name.copy(entry, 33);
  system.copy(entry, start);
  return entry;
}

function directory(tree: Tree, files: readonly Placed[]): Buffer {
  const isJoliet = tree === 'joliet';
  const self = { sector: ROOT[tree], bytes: SECTOR, isDirectory: true };
  const first = isJoliet ? {} : { system: Buffer.concat([SHARING_PROTOCOL, ROCK_RIDGE, attributes(0o40555, 2)]) };
  const parent = isJoliet ? {} : { system: attributes(0o40555, 2) };
  const content = Buffer.concat([
    record({ ...self, ...first, name: Buffer.from([0]) }),
    record({ ...self, ...parent, name: Buffer.from([1]) }),
    ...files.map((file) =>
      record({
        sector: file.sector,
        bytes: file.content.length,
        isDirectory: false,
        name: isJoliet ? wide(file.name) : Buffer.from(isoName(file.name), 'latin1'),
        ...(isJoliet ? {} : { system: Buffer.concat([alternateName(file.name), attributes(0o100444, 1)]) }),
      }),
    ),
  ]);
  if (content.length > SECTOR) throw new RangeError('The directory does not fit its sector.');
  return content;
}

/** SUSP 5.3: these fields are in use, from the first byte on. */
const SHARING_PROTOCOL = Buffer.from('SP\x07\x01\xbe\xef\x00', 'latin1');

/** SUSP 5.5: they are Rock Ridge's. Without it Linux takes Joliet's names. */
const ROCK_RIDGE = Buffer.from('ER\x12\x01\x0a\x00\x00\x01RRIP_1991A', 'latin1');

/** RRIP 4.1.1. */
function attributes(mode: number, links: number): Buffer {
  const field = Buffer.alloc(36);
  field.write('PX\x24\x01', 'latin1');
  both32(field, mode, 4);
  both32(field, links, 12);
  return field;
}

/** RRIP 4.1.4. */
const alternateName = (name: string): Buffer => Buffer.concat([Buffer.from('NM', 'latin1'), Buffer.from([5 + name.length, 1, 0]), Buffer.from(name, 'latin1')]);

function both32(target: Buffer, value: number, at: number): void {
  target.writeUInt32LE(value, at);
  target.writeUInt32BE(value, at + 4);
}

function both16(target: Buffer, value: number, at: number): void {
  target.writeUInt16LE(value, at);
  target.writeUInt16BE(value, at + 2);
}
