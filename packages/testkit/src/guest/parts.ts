import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { unpackPackage } from './debian-package.ts';

const run = promisify(execFile);

export interface Kernel {
  version: string;
  image: string;
  modules: string;
}

/** Debian's kernel for virtual machines: it boots quickly, and what a guest needs is in it or a module. */
const KERNEL_PACKAGE = 'linux-image-cloud-amd64';

/** An installed cloud kernel, one unpacked earlier, or one downloaded now; needs no root. */
export async function findKernel(cache: string): Promise<Kernel> {
  return kernelBelow('/') ?? kernelBelow(join(cache, 'kernel')) ?? downloadKernel(cache);
}

function kernelBelow(root: string): Kernel | undefined {
  const boot = join(root, 'boot');
  const images = existsSync(boot) ? readdirSync(boot).filter((name) => /^vmlinuz-.*cloud-amd64$/.test(name)) : [];
  const kernels = images.map((name) => {
    const version = name.slice('vmlinuz-'.length);
    return { version, image: join(boot, name), modules: join(root, 'lib/modules', version, 'kernel') };
  });
  return kernels.find(({ image, modules }) => existsSync(modules) && canRead(image));
}

async function downloadKernel(cache: string): Promise<Kernel> {
  // The package itself is empty and depends on that of the current version.
  const { stdout } = await run('apt-cache', ['depends', KERNEL_PACKAGE]).catch(() => ({ stdout: '' }));
  const current = /Depends: (linux-image-\S+)/.exec(stdout)?.[1];
  if (current === undefined) {
    throw new Error(`apt knows no ${KERNEL_PACKAGE}: run apt-get update, or install a Debian cloud kernel.`);
  }
  await unpackPackage(current, join(cache, 'kernel'));
  const kernel = kernelBelow(join(cache, 'kernel'));
  if (kernel === undefined) throw new Error(`The package ${current} holds no kernel.`);
  return kernel;
}

/** A busybox that needs no libraries: the installed one, or that of busybox-static, unpacked. */
export async function findStaticBusybox(cache: string): Promise<{ program: string; version: string }> {
  const unpacked = join(cache, 'busybox');
  const places = ['/bin/busybox', join(unpacked, 'bin/busybox'), join(unpacked, 'usr/bin/busybox')];
  const find = (): string | undefined => places.find((place) => existsSync(place) && isStatic(place));
  if (find() === undefined) await unpackPackage('busybox-static', unpacked);
  const program = find();
  if (program === undefined) throw new Error('The package busybox-static holds no busybox.');
  return { program, version: createHash('sha256').update(readFileSync(program)).digest('hex') };
}

/** A dynamic program names its loader in the ELF header's neighbourhood. */
const isStatic = (program: string): boolean => !readFileSync(program, 'latin1').slice(0, 4096).includes('/ld-');

function canRead(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
