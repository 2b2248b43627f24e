/**
 * npm run guest: a small guest to try NovaCron with (Debian's cloud kernel, busybox; 15 MB), put where VMs may boot
 * from, and the input of createVm that boots it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LocalError, prepareDataDirectory } from '@novacron/local';
import { guest, type Guest } from '@novacron/testkit';
import { EnvironmentError, readEnvironment } from '../app/src/environment.ts';

/** Puts a file where QEMU's user can read it, complete at every moment: a VM may be booting from it. */
function publish(from: string, to: string): void {
  const unfinished = `${to}.new`;
  copyFileSync(from, unfinished);
  chmodSync(unfinished, 0o644);
  renameSync(unfinished, to);
}

/** The guest, built or found. What can be missing on this machine is said with what brings it. */
async function buildGuest(): Promise<Guest> {
  try {
    execFileSync('cpio', ['--version'], { stdio: 'ignore' });
  } catch (cause) {
    throw new LocalError('The guest is packed with cpio, which is not installed here: apt-get install cpio.', { cause });
  }
  try {
    return await guest();
  } catch (cause) {
    throw new LocalError(`The guest could not be built: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function main(): Promise<void> {
  const { data, bootDirectories } = readEnvironment();
  prepareDataDirectory(data);
  const directory = bootDirectories[0] ?? join(data, 'boot');
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const built = await buildGuest();
  const files = { kernel: join(directory, 'vmlinuz'), initrd: join(directory, 'initrd.gz') };
  publish(built.kernel, files.kernel);
  publish(built.initrd, files.initrd);
  const size = (file: string): string => `${(statSync(file).size / 2 ** 20).toFixed(1)} MiB`;
  console.log(`A guest to try things with lies in ${directory}:`);
  console.log(`  vmlinuz ${size(files.kernel)}, initrd.gz ${size(files.initrd)}\n`);
  console.log('It boots with these variables of createVm($input: CreateVmInput!):\n');
  console.log(JSON.stringify({ input: { name: 'first-vm', memory: '128MiB', kernel: { ...files, cmdline: built.cmdline } } }, null, 2));
}

main().catch((error: unknown) => {
  const expected = error instanceof LocalError || error instanceof EnvironmentError;
  console.error(expected ? error.message : error);
  process.exitCode = 1;
});
