import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cached, guestCache, withCache } from './cache.ts';
import { fileOfPackage } from './debian-package.ts';
import { agentGuest, type Guest } from './guest.ts';

/** A disk image that holds all of agentGuest(), and boots by BIOS as a virtio disk with 128 MiB. */
export interface BootImage {
  /** qcow2, compressed. In the cache and for all tests: put an overlay or a copy under a guest, not this. */
  path: string;
  /** Of the file, in hexadecimal. */
  sha256: string;
  /** Of the file, in bytes. */
  size: number;
  /** Of the disk that a guest sees, in bytes. */
  virtualSize: number;
}

const run = promisify(execFile);

const SECTOR = 512;
const VIRTUAL_SIZE = 256 * 2 ** 20;
/** Where the partition starts: at 1 MiB, as everybody's. */
const START = 2 ** 20;

/** The image; built on first use without mounts, then found in the cache. Parallel runs do not disturb each other. */
export async function bootImage(cache = guestCache()): Promise<BootImage> {
  const guest = await agentGuest(cache);
  return withCache(cache, async () => {
    const loader = await findLoader(cache);
    const dir = await cached(join(cache, 'boot-image'), [guest.bootDir, loader.syslinux, loader.mtools], (unfinished) => buildImage(unfinished, guest, loader));
    const path = join(dir, 'image.qcow2');
    const content = readFileSync(path);
    return { path, sha256: createHash('sha256').update(content).digest('hex'), size: content.length, virtualSize: VIRTUAL_SIZE };
  });
}

interface Loader {
  syslinux: string;
  mtools: string;
  /** What a BIOS loads from the first sector: it loads the first sector of the active partition. */
  mbr: string;
}

const findLoader = async (cache: string): Promise<Loader> => ({
  syslinux: await fileOfPackage('/usr/bin/syslinux', 'syslinux', cache),
  mtools: await fileOfPackage('/usr/bin/mtools', 'mtools', cache),
  mbr: await fileOfPackage('/usr/lib/syslinux/mbr/mbr.bin', 'syslinux-common', cache),
});

/** One partition with FAT32, written with mtools; syslinux starts the kernel in it. */
async function buildImage(dir: string, guest: Guest, { syslinux, mtools, mbr }: Loader): Promise<void> {
  const disk = join(dir, 'disk');
  const partition = `${disk}@@${START}`;
  const config = join(dir, 'syslinux.cfg');
  const env = { ...process.env, PATH: `${dirname(mtools)}:${process.env['PATH']}`, MTOOLS_SKIP_CHECK: '1' }; // syslinux calls mtools, too
  writePartitionTable(disk, readFileSync(mbr));
  writeFileSync(config, `DEFAULT guest\nPROMPT 0\nLABEL guest\n LINUX /vmlinuz\n INITRD /initrd.gz\n APPEND ${guest.cmdline}\n`);
  await run('mformat', ['-i', partition, '-F', '-v', 'NOVAGUEST', '-T', String((VIRTUAL_SIZE - START) / SECTOR), '-H', String(START / SECTOR), '::'], { env });
  await run(syslinux, ['--install', '-t', String(START), disk], { env });
  await run('mcopy', ['-i', partition, config, guest.kernel, guest.initrd, '::/'], { env });
  await run('qemu-img', ['convert', '-O', 'qcow2', '-c', disk, join(dir, 'image.qcow2')]);
  for (const file of [disk, config]) rmSync(file);
}

/** Source: the classical MBR: the loader's code, the first of four entries at 446, a signature at 510. */
function writePartitionTable(disk: string, code: Buffer): void {
  const sector = Buffer.alloc(SECTOR);
  code.copy(sector, 0, 0, 440);
  sector.set([0x80, 0xfe, 0xff, 0xff, 0x0c, 0xfe, 0xff, 0xff], 446); // active; FAT32 by LBA; cylinders say nothing
  sector.writeUInt32LE(START / SECTOR, 454);
  sector.writeUInt32LE((VIRTUAL_SIZE - START) / SECTOR, 458);
  sector.set([0x55, 0xaa], 510);
  const file = openSync(disk, 'w');
  writeSync(file, sector);
  ftruncateSync(file, VIRTUAL_SIZE);
  closeSync(file);
}
