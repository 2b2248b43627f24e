import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { HostId } from '@novacron/core';
import { parseUri } from '@novacron/libvirt';

/**
 * Runs a command on a host and answers what it printed; throws where it fails, and where commands can't be run there. libvirt
 * makes no VXLAN devices: this is for them alone.
 */
export type RunOnHost = (host: { id: HostId; name: string; uri: string }, command: readonly string[]) => Promise<string>;

const run = promisify(execFile);
const TIMEOUT_MS = 10_000;

/** Runs it here, where the host is this machine: its libvirt is reached by a UNIX socket. */
export const runLocally: RunOnHost = async ({ name, uri }, [program = '', ...args]) => {
  if (parseUri(uri).transport !== 'unix') throw new Error(`Host "${name}" is another machine: its agent is not on it.`);
  // /usr/sbin is not in everyone's path
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };
  return (await run(program, args, { env, timeout: TIMEOUT_MS, maxBuffer: 16 << 20 })).stdout;
};
