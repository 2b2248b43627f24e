import { connect } from '@novacron/libvirt';

/** libvirt's names of NovaCron's networks. */
const OURS = /^nc-[0-9a-f]{11}$/;

/**
 * Before a libvirtd of ours is stopped for lack of NovaCron: while a guest runs, its networks are left as they are; without any, nothing of
 * them (bridge, dnsmasq, firewall rules) stays on this machine. They stay defined, and start with the next libvirtd.
 */
export async function restNetworks(uri: string): Promise<void> {
  const connection = await connect({ uri, signal: AbortSignal.timeout(5_000) }).catch(() => null); // it has ended already
  if (connection === null) return;
  try {
    if ((await connection.domains.list({ active: true })).length > 0) return;
    const networks = (await connection.networks.list({ active: true })).filter(({ name }) => OURS.test(name));
    await Promise.allSettled(networks.map((network) => connection.networks.destroy(network)));
  } finally {
    await connection.close();
  }
}
