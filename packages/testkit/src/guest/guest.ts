import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cached, guestCache, withCache } from './cache.ts';
import { fileOfPackage } from './debian-package.ts';
import { buildBootFiles, type InitrdParts } from './initrd.ts';
import { findKernel, findStaticBusybox } from './parts.ts';

/** What a test guest prints on its serial console when it is up, followed by its uptime in seconds. */
export const GUEST_UP = 'NOVA-UP';
/** What it prints when somebody pressed its power button, just before it powers off. */
export const GUEST_POWER_BUTTON = 'NOVA-POWER-BUTTON';

/**
 * A guest without a disk: boots in about two seconds under TCG with 96 MiB, prints GUEST_UP on ttyS0 and
 * powers off on ACPI. It asks for an address on each of its NICs, also those that are plugged in later, and
 * reads a NoCloud seed: a virtio disk or virtio-scsi CD with the label cidata. Words on its kernel command
 * line: nova.poweroff=SECONDS (powers itself off), nova.panic=SECONDS (its kernel panics); without a value,
 * at once; nova.dirty=MIB (rewrites that much memory for ever, some 1 GB a second; it needs 112 MiB more).
 *
 * It prints:
 *
 *     NOVA-IP eth0 192.168.122.5     a lease
 *     NOVA-HOSTNAME web-1            the seed's name, before GUEST_UP
 *     NOVA-SEED-IGNORES packages     a key of #cloud-config that it knows nothing of
 *     NOVA-USER-DATA 0               the exit status of user-data that begins with #!, after what that printed
 *     NOVA-DIRTY 32                  all memory of nova.dirty was written once (or: NOVA-DIRTY lacks 7 MiB)
 *
 * Of #cloud-config it knows hostname and ssh_authorized_keys; files of the seed lie in /run/seed.
 */
export interface Guest {
  kernel: string;
  initrd: string;
  /** The directory with both; every user can read it. */
  bootDir: string;
  /** What the kernel's command line starts with. */
  cmdline: string;
}

const CMDLINE = 'console=ttyS0 quiet reboot=t panic=1';

/** The test guest; built on first use, then found in the cache. Parallel runs do not disturb each other. */
export const guest = (cache = guestCache()): Promise<Guest> => withCache(cache, () => makeGuest('guest', cache, []));

/**
 * The test guest with QEMU's guest agent, which answers on the channel AGENT_CHANNEL (see guestReady and
 * guestExec), and also to libvirt's shutdown by agent. Boots with 96 MiB, too, of which 20 are then free.
 */
export const agentGuest = (cache = guestCache()): Promise<Guest> =>
  withCache(cache, async () => {
    const agent = await fileOfPackage('/usr/sbin/qemu-ga', 'qemu-guest-agent', cache);
    return makeGuest('agent-guest', cache, [{ from: agent, to: 'bin/qemu-ga' }, ...(await librariesOf(agent))]);
  });

async function makeGuest(name: string, cache: string, more: InitrdParts['more']): Promise<Guest> {
  if (process.arch !== 'x64') throw new Error('The test guest is made for x86-64 only.');
  const [kernel, busybox] = [await findKernel(cache), await findStaticBusybox(cache)];
  const versions = more.map(({ from }) => createHash('sha256').update(readFileSync(from)).digest('hex'));
  const bootDir = await cached(join(cache, name), [kernel.version, busybox.version, ...versions], (dir) =>
    buildBootFiles(dir, { kernel, busybox: busybox.program, more }),
  );
  return { kernel: join(bootDir, 'vmlinuz'), initrd: join(bootDir, 'initrd.gz'), bootDir, cmdline: CMDLINE };
}

const run = promisify(execFile);

/** The shared libraries that a program loads on this machine, and their loader, each to be found at the same place. */
async function librariesOf(program: string): Promise<InitrdParts['more']> {
  const { stdout } = await run('ldd', [program]);
  const missing = [...stdout.matchAll(/(\S+) => not found/g)].map((match) => match[1]);
  if (missing.length > 0) throw new Error(`${program} needs ${missing.join(', ')}, which this machine lacks: apt-get install qemu-guest-agent.`);
  return [...stdout.matchAll(/\s(\/\S+) \(0x/g)].map(([, path = '']) => ({ from: path, to: path.slice(1) }));
}
