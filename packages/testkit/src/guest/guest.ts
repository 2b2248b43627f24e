import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from '@novacron/local';
import { findKernel, findStaticBusybox } from './guest-parts.ts';
import { moduleOrder } from './kernel-modules.ts';

/** What a test guest prints on its serial console when it is up, followed by its uptime in seconds. */
export const GUEST_UP = 'NOVA-UP';
/** What it prints when somebody pressed its power button, just before it powers off. */
export const GUEST_POWER_BUTTON = 'NOVA-POWER-BUTTON';

/**
 * A guest without a disk: boots in about two seconds under TCG with 96 MiB, prints GUEST_UP on ttyS0 and
 * powers off on ACPI. Words on its kernel command line: nova.poweroff=SECONDS (powers itself off),
 * nova.panic=SECONDS (its kernel panics); without a value, at once.
 */
export interface Guest {
  kernel: string;
  initrd: string;
  /** The directory with both; every user can read it. */
  bootDir: string;
  /** What the kernel's command line starts with. */
  cmdline: string;
}

const run = promisify(execFile);

const CMDLINE = 'console=ttyS0 quiet reboot=t panic=1';

/** What a guest of libvirt may find: virtio of every kind, the power button, and whom to tell that it panics (ISA is mmio's). */
const MODULES = [
  ...['virtio_pci', 'virtio_net', 'virtio_blk', 'virtio_balloon', 'virtio_console', 'virtio_rng', 'virtio_scsi', 'sd_mod'],
  ...['button', 'evdev', 'pvpanic_mmio', 'pvpanic_pci'],
];

/** Where parts and finished guests are kept between runs. */
export function guestCache(env: NodeJS.ProcessEnv = process.env): string {
  return env['NOVACRON_DATA'] ? join(env['NOVACRON_DATA'], 'cache') : '/var/tmp/novacron-cache';
}

/** The test guest; built on first use, then found in the cache. Parallel runs do not disturb each other. */
export async function guest(cache = guestCache()): Promise<Guest> {
  if (process.arch !== 'x64') throw new Error('The test guest is made for x86-64 only.');
  mkdirSync(cache, { recursive: true, mode: 0o755 });
  return withLock(`guest:${cache}`, async () => {
    const [kernel, busybox] = [await findKernel(cache), await findStaticBusybox(cache)];
    const init = readFileSync(join(import.meta.dirname, 'guest-init.sh'));
    const key = createHash('sha256')
      .update(JSON.stringify([kernel.version, busybox.version, MODULES, CMDLINE, readFileSync(import.meta.filename, 'utf8')]))
      .update(init)
      .digest('hex')
      .slice(0, 16);
    const bootDir = join(cache, `guest-${key}`);
    if (!existsSync(bootDir)) {
      const unfinished = mkdtempSync(`${bootDir}.`);
      try {
        await build(unfinished, { kernel, busybox: busybox.program, init });
        renameSync(unfinished, bootDir);
      } finally {
        rmSync(unfinished, { recursive: true, force: true });
      }
    }
    return { kernel: join(bootDir, 'vmlinuz'), initrd: join(bootDir, 'initrd.gz'), bootDir, cmdline: CMDLINE };
  });
}

interface Parts {
  kernel: { image: string; modules: string };
  busybox: string;
  init: Buffer;
}

async function build(dir: string, { kernel, busybox, init }: Parts): Promise<void> {
  const root = join(dir, 'root');
  for (const name of ['bin', 'dev', 'etc/acpi/PWRF', 'lib/modules', 'proc', 'sys', 'tmp']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  copyFileSync(busybox, join(root, 'bin/busybox'));
  writeFileSync(join(root, 'init'), init, { mode: 0o755 });
  // busybox's acpid looks for a file by the event's name and number (its default map of KEY_POWER).
  const button = `#!/bin/sh\necho ${GUEST_POWER_BUTTON} >/dev/console\npoweroff -f\n`;
  writeFileSync(join(root, 'etc/acpi/PWRF/00000080'), button, { mode: 0o755 });
  const modules = moduleOrder(kernel.modules, MODULES);
  for (const module of modules) copyFileSync(module, join(root, 'lib/modules', basename(module)));
  writeFileSync(join(root, 'lib/modules/order'), modules.map((module) => `${basename(module)}\n`).join(''));
  await run('bash', ['-o', 'pipefail', '-c', 'cd "$0/root" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -6 > "$0/initrd.gz"', dir]);
  rmSync(root, { recursive: true });
  copyFileSync(kernel.image, join(dir, 'vmlinuz'));
  for (const name of ['.', 'vmlinuz', 'initrd.gz']) chmodSync(join(dir, name), name === '.' ? 0o755 : 0o644);
}
