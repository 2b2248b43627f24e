import { spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LocalError, type Progress } from './progress.ts';

export interface Acceleration {
  /** True only when a guest's kernel has been seen to run under it. */
  accelerated: boolean;
  /** Why, for whoever reads host.capabilities. */
  reason: string;
}

export interface AccelerationOptions {
  /** Remembers the answer, for as long as this machine stays up. */
  dir: string;
  /** Kernels to try with, first readable first; undefined: the machine's own in /boot. */
  kernels?: readonly string[];
  /** QEMU's accelerator; anything but kvm is for tests. */
  accelerator?: 'kvm' | 'tcg';
  cpuInfo?: string;
  timeoutMs?: number;
  onProgress?: Progress;
}

/**
 * Whether guests are accelerated here, proven by a kernel that prints its first line under KVM. That
 * /dev/kvm exists, that QEMU starts, that firmware runs and what libvirt advertises prove nothing: all
 * four have been seen on a machine where no kernel got anywhere.
 */
export async function proveAcceleration(options: AccelerationOptions): Promise<Acceleration> {
  mkdirSync(options.dir, { recursive: true });
  const file = join(options.dir, 'acceleration.json');
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const remembered = recall(file, bootId);
  if (remembered) return remembered;
  const answer = await prove(options);
  writeFileSync(file, `${JSON.stringify({ bootId, ...answer })}\n`);
  return answer;
}

function recall(file: string, bootId: string): Acceleration | undefined {
  try {
    const found = JSON.parse(readFileSync(file, 'utf8')) as Acceleration & { bootId: string }; // only we write it
    if (found.bootId !== bootId) return undefined;
    return { accelerated: found.accelerated, reason: found.reason };
  } catch {
    return undefined;
  }
}

async function prove(options: AccelerationOptions): Promise<Acceleration> {
  const { accelerator = 'kvm', timeoutMs = 5_000, onProgress = () => {} } = options;
  const refuse = (reason: string): Acceleration => ({ accelerated: false, reason });
  if (accelerator === 'kvm') {
    const cpuInfo = options.cpuInfo ?? readFileSync('/proc/cpuinfo', 'utf8');
    if (!/^flags\s*:.*\b(vmx|svm)\b/m.test(cpuInfo)) return refuse('The processor shows neither vmx nor svm.');
    try {
      accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    } catch {
      return refuse('/dev/kvm is missing or not open to this user.');
    }
  }
  const kernel = (options.kernels ?? bootKernels()).find(isReadable);
  if (kernel === undefined) return refuse('There is no readable kernel in /boot to prove acceleration with.');
  onProgress('Proving hardware acceleration');
  const line = await firstKernelLine(kernel, accelerator, timeoutMs);
  if (line === undefined) return refuse(`A kernel printed nothing within ${timeoutMs / 1000} s under ${accelerator}.`);
  return { accelerated: true, reason: `A kernel ran under ${accelerator}: ${line.slice(0, 80)}` };
}

function bootKernels(): string[] {
  try {
    const kernels = readdirSync('/boot').filter((name) => name.startsWith('vmlinuz-'));
    return kernels.map((name) => join('/boot', name));
  } catch {
    return [];
  }
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Boots a kernel with nothing else and returns the first line that it prints, or undefined in time's end. */
async function firstKernelLine(kernel: string, accelerator: string, timeoutMs: number): Promise<string | undefined> {
  const cpu = accelerator === 'kvm' ? 'host' : 'max';
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ...['-accel', accelerator, '-cpu', cpu, '-m', '256', '-nodefaults', '-no-user-config', '-display', 'none'],
      ...['-no-reboot', '-sandbox', 'on', '-serial', 'stdio', '-kernel', kernel],
      ...['-append', 'console=ttyS0 earlyprintk=ttyS0 panic=-1'],
    ],
    { cwd: '/', stdio: ['ignore', 'pipe', 'ignore'], ...qemuIdentity() },
  );
  try {
    return await new Promise((resolve, reject) => {
      let text = '';
      const timer = setTimeout(() => resolve(undefined), timeoutMs);
      qemu.stdout.on('data', (chunk) => {
        text += String(chunk);
        const line = /Linux version.*/.exec(text)?.[0];
        if (line === undefined || !text.includes('\n')) return;
        clearTimeout(timer);
        resolve(line.trim());
      });
      qemu.once('close', () => {
        clearTimeout(timer);
        resolve(undefined);
      });
      qemu.once('error', (error) => {
        clearTimeout(timer);
        reject(new LocalError(`qemu-system-x86_64 could not be started: ${error.message}.`));
      });
    });
  } finally {
    qemu.kill('SIGKILL');
  }
}

/** Not as root: nobody, in the group that may open /dev/kvm. */
function qemuIdentity(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const device = statSync('/dev/kvm', { throwIfNoEntry: false });
  return { uid: 65534, gid: device?.gid || 65534 };
}
