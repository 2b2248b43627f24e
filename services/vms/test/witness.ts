import { domainName } from '@novacron/contracts';
import { connect } from '@novacron/libvirt';
import { eventually, type TestHost } from '@novacron/testkit';

/** Sees what really happens on a host, over a libvirt connection that the product knows nothing of. */
export interface Witness {
  /** What has happened to the VM's domain since it was last forgotten: "started", "stopped", "reboot", ... */
  seen(vmId: string): string[];
  forget(vmId: string): void;
  /** Waits until the guest's shell answers. */
  booted(vmId: string): Promise<void>;
  close(): Promise<void>;
}

export async function startWitness(host: TestHost): Promise<Witness> {
  const connection = await connect({ uri: host.uri });
  const seen = new Map<string, string[]>();
  const note = (vmId: string, what: string): void => void seen.set(vmId, [...(seen.get(vmId) ?? []), what]);
  await connection.onDomainEvent('lifecycle', ({ domain, event }) => note(domain.uuid, event));
  await connection.onDomainEvent('reboot', ({ domain }) => note(domain.uuid, 'reboot'));
  return {
    seen: (vmId) => seen.get(vmId) ?? [],
    forget: (vmId) => void seen.delete(vmId),
    async booted(vmId) {
      const own = await connect({ uri: host.uri }); // a console wants a connection of its own
      try {
        const console = await own.domains.openConsole(await own.domains.lookupByName(domainName(vmId)), { force: true });
        let said = '';
        console.on('data', (data: Buffer) => (said += data.toString('latin1')));
        console.on('error', () => {}); // the guest went: the wait below ends with its own reason
        await eventually(`the shell of ${vmId}`, () => {
          console.write('echo up-$((40+2))\n');
          return said.includes('up-42');
        }, { timeoutMs: 40_000, intervalMs: 250 });
        console.destroy();
      } finally {
        await own.close();
      }
    },
    close: () => connection.close(),
  };
}
