import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

export interface ControlGroup {
  controller: string;
  dir: string;
}

/** The controllers that libvirt uses for guests. */
const WANTED = ['cpu', 'cpuacct', 'memory', 'blkio'];

/**
 * Where groups called `name` may be made: one for each cgroup v1 controller that is mounted by itself,
 * below the group that we are in. None on a machine with cgroup v2 only: guests then run without limits.
 * Source: cgroups(7).
 */
export function availableControlGroups(name: string): ControlGroup[] {
  const mounts = readFileSync('/proc/mounts', 'utf8');
  const memberships = readFileSync('/proc/self/cgroup', 'utf8').split('\n').map((line) => line.split(':'));
  return WANTED.flatMap((controller) => {
    const root = join('/sys/fs/cgroup', controller);
    const own = memberships.find(([, controllers]) => controllers === controller)?.[2];
    if (own === undefined || !mounts.includes(` ${root} cgroup `)) return [];
    const parent = join(root, own);
    return existsSync(join(parent, 'cgroup.procs')) ? [{ controller, dir: join(parent, name) }] : [];
  });
}

/** Removes a group and those below it (libvirt makes some); throws while a process is still in one. */
export function removeControlGroup(dir: string): void {
  if (!existsSync(dir)) return;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.isDirectory()) removeControlGroup(join(dir, entry.name));
  }
  rmdirSync(dir);
}
