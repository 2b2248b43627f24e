import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testRun } from '@novacron/testkit';

export interface TestKernel {
  /** The directory that it lies in; every user can read it. */
  bootDir: string;
  kernel: string;
}

/**
 * A kernel that only halts: its VM is RUNNING as soon as it has started, needs next to no CPU and memory, and ignores
 * whoever asks it to shut down. A file without the magic of a newer boot protocol is loaded as the oldest one, which
 * begins in real mode behind the boot sector (https://www.kernel.org/doc/html/latest/arch/x86/boot.html).
 */
export async function haltingKernel(): Promise<TestKernel> {
  const bootDir = (await testRun()).makeDirectory('boot');
  const kernel = join(bootDir, 'halts');
  const image = Buffer.alloc(8192);
  Buffer.from([0xfa, 0xf4, 0xeb, 0xfd]).copy(image, 512); // cli; again: hlt; jmp again
  writeFileSync(kernel, image);
  chmodSync(kernel, 0o644);
  return { bootDir, kernel };
}
