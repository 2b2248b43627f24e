import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';
import type { Lab } from './lab.ts';

/** Where figures come from: they mean nothing without it. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  node: string;
  libvirt: string;
  qemu: string;
  /** Guests are emulated: no KVM. */
  accelerated: boolean;
  loadBefore: number;
}

/** What the lab stands on, and how busy it is before the first measurement. */
export async function describeMachine({ host, client }: Lab): Promise<Machine> {
  const { hosts } = await client.ask<{ hosts: { edges: { node: { hypervisor: { accelerated: boolean } } }[] } }>(
    '{ hosts { edges { node { hypervisor { accelerated } } } } }',
  );
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    libvirt: await host.virsh('--version'),
    qemu: /version (\S+)/.exec(execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown',
    accelerated: hosts.edges[0]?.node.hypervisor.accelerated ?? false,
    loadBefore: loadNow(),
  };
}

/** Processes that wanted a CPU, as a one-minute average. */
export const loadNow = (): number => Math.round((loadavg()[0] ?? 0) * 10) / 10;
