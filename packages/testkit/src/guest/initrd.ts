import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { moduleOrder } from './kernel-modules.ts';
import type { Kernel } from './parts.ts';

const run = promisify(execFile);

/** What a guest of libvirt may find: virtio of every kind, the power button, and whom to tell that it panics (ISA is mmio's). */
const DEVICES = [
  ...['virtio_pci', 'virtio_net', 'virtio_blk', 'virtio_balloon', 'virtio_console', 'virtio_rng', 'virtio_scsi', 'sd_mod', 'sr_mod'],
  ...['button', 'evdev', 'pvpanic_mmio', 'pvpanic_pci'],
];

/** What a seed may be written in, with the character sets that the kernel takes for FAT. Loaded only where there is a disk. */
const FILE_SYSTEMS = ['isofs', 'vfat', 'nls_cp437', 'nls_ascii', 'nls_utf8'];

/** Disks are there once their driver is. Source: Linux, drivers/scsi/scsi_scan.c. */
const PARAMETERS: Readonly<Record<string, string>> = { scsi_mod: 'scan=sync' };

export interface InitrdParts {
  kernel: Kernel;
  /** The static program. */
  busybox: string;
  /** Other programs and libraries; `to` is their place in the guest. */
  more: readonly { from: string; to: string }[];
}

/** Writes vmlinuz and initrd.gz into `dir`: the kernel's modules, busybox, the files in root/ beside this one, and what else is given. */
export async function buildBootFiles(dir: string, { kernel, busybox, more }: InitrdParts): Promise<void> {
  const root = join(dir, 'root');
  cpSync(join(import.meta.dirname, 'root'), root, { recursive: true });
  for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' })) chmodSync(join(root, file), 0o755); // programs, all of them
  for (const name of ['bin', 'dev', 'lib/modules', 'proc', 'root', 'run', 'sys', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  for (const { from, to } of [{ from: busybox, to: 'bin/busybox' }, ...more]) {
    mkdirSync(join(root, dirname(to)), { recursive: true });
    copyFileSync(from, join(root, to));
  }
  copyModules(kernel, DEVICES, root, 'devices');
  copyModules(kernel, FILE_SYSTEMS, root, 'file-systems');
  await run('bash', ['-o', 'pipefail', '-c', 'cd "$0/root" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -6 > "$0/initrd.gz"', dir]);
  rmSync(root, { recursive: true });
  copyFileSync(kernel.image, join(dir, 'vmlinuz'));
}

/** The modules, and a list of them in the order of loading, with their parameters. */
function copyModules(kernel: Kernel, names: readonly string[], root: string, list: string): void {
  const files = moduleOrder(kernel.modules, names);
  for (const file of files) copyFileSync(file, join(root, 'lib/modules', basename(file)));
  const lines = files.map((file) => `${basename(file)} ${PARAMETERS[basename(file, '.ko')] ?? ''}`.trim());
  writeFileSync(join(root, 'lib/modules', list), lines.map((line) => `${line}\n`).join(''));
}
