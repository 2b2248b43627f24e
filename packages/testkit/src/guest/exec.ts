import { eventually } from '../eventually.ts';
import type { TestHost } from '../libvirt-host.ts';

/** The device through which libvirt talks to a guest agent. */
export const AGENT_CHANNEL = `<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>`;

/** Waits until the domain's guest agent answers; within a minute unless told. */
export async function guestReady(host: TestHost, domain: string, { timeoutMs = 60_000 }: { timeoutMs?: number } = {}): Promise<void> {
  const ping = async (): Promise<true> => {
    await ask(host, domain, 'guest-ping', {});
    return true;
  };
  await eventually(`the guest agent of ${domain}`, ping, { timeoutMs, intervalMs: 100 });
}

/**
 * Runs a shell command in the guest, through its agent, and resolves to what it printed. Throws with its
 * stderr when it fails, and after `timeoutMs` (10 s unless told); the command then goes on in the guest.
 */
export async function guestExec(
  host: TestHost,
  domain: string,
  command: string,
  { timeoutMs = 10_000 }: { timeoutMs?: number } = {},
): Promise<string> {
  const started = await ask(host, domain, 'guest-exec', { path: '/bin/sh', arg: ['-c', command], 'capture-output': true });
  const { pid } = started as { pid: number }; // the agent's answers are described in QEMU, qga/qapi-schema.json
  const ended = await eventually(
    `"${command}" to end in ${domain}`,
    async () => {
      const status = (await ask(host, domain, 'guest-exec-status', { pid })) as ExecStatus; // see above
      return status.exited && status;
    },
    { timeoutMs, intervalMs: 50 },
  );
  const text = (data: string | undefined): string => Buffer.from(data ?? '', 'base64').toString().trim();
  if (ended.exitcode === 0) return text(ended['out-data']);
  const how = ended.exitcode === undefined ? `was ended by signal ${ended.signal}` : `exited with ${ended.exitcode}`;
  throw new Error(`"${command}" ${how} in ${domain}: ${text(ended['err-data'])}`);
}

interface ExecStatus {
  exited: boolean;
  exitcode?: number;
  signal?: number;
  'out-data'?: string;
  'err-data'?: string;
}

async function ask(host: TestHost, domain: string, execute: string, args: object): Promise<unknown> {
  const answer = await host.virsh('qemu-agent-command', domain, '--timeout', '5', JSON.stringify({ execute, arguments: args }));
  return (JSON.parse(answer) as { return: unknown }).return; // libvirt hands on answers only; the agent's errors make virsh fail
}
