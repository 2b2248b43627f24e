import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';
import type { Lab } from './lab.ts';

/** Where figures come from: they mean nothing without it. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  node: string;
  /** Most file descriptors that a process may have. */
  openFiles: string;
  loadBefore: number;
  /** Null: no guest ran. */
  hypervisor: Hypervisor | null;
}

export interface Hypervisor {
  libvirt: string;
  qemu: string;
  /** Guests are emulated: no KVM. */
  accelerated: boolean;
}

/** What the bench stands on, and how busy it is before the first measurement. */
export const describeMachine = (): Machine => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  openFiles: execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim(),
  loadBefore: loadNow(),
  hypervisor: null,
});

export async function describeHypervisor({ host, client }: Lab): Promise<Hypervisor> {
  const { hosts } = await client.ask<{ hosts: { edges: { node: { hypervisor: { accelerated: boolean } } }[] } }>(
    '{ hosts { edges { node { hypervisor { accelerated } } } } }',
  );
  return {
    libvirt: await host.virsh('--version'),
    qemu: /version (\S+)/.exec(execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown',
    accelerated: hosts.edges[0]?.node.hypervisor.accelerated ?? false,
  };
}

/** Processes that wanted a CPU, as a one-minute average. */
export const loadNow = (): number => Math.round((loadavg()[0] ?? 0) * 10) / 10;
