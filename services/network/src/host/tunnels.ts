import type { HostAgent } from '@novacron/agent';
import { DomainError, type HostId } from '@novacron/core';
import { cidrOf, gatewayOf } from '../cidr.ts';
import type { Database, NetworkRow } from '../database.ts';
import { networkName, tunnelName } from './names.ts';
import { readGuards, readTunnel, tunnelChanges, tunnelRemoval } from './overlay.ts';
import type { RunOnHost } from './run-on-host.ts';

/** What makes VXLAN devices on a host: libvirt does not. */
export interface Tunnels {
  /** Can commands be run on the host, and has it the programs? */
  canMake(): Promise<boolean>;
  /** The destinations of the host's routes, but for the default one; null when it can't be asked. */
  routes(): Promise<string[] | null>;
  /** Brings an overlay's tunnel to what the rows say. The bridge must be there. */
  settle(network: NetworkRow): Promise<void>;
  /** Plugs ports into a network's bridge again. */
  plug(networkId: string, ports: readonly string[]): Promise<void>;
  /** Nothing of it is left. */
  remove(networkId: string): Promise<void>;
}

const LIST_GUARDS = ['ebtables', '-t', 'filter', '-L', 'INPUT'] as const;

export function createTunnels(agent: HostAgent, database: Database, runOnHost: RunOnHost): Tunnels {
  const { host } = agent;
  const run = (command: readonly string[]): Promise<string> => runOnHost(host, command);

  const read = async (networkId: string) => {
    const links = await run(['ip', '-j', '-d', 'link', 'show', 'type', 'vxlan']);
    const chain = await run(LIST_GUARDS);
    const isThere = links.includes(`"${tunnelName(networkId)}"`);
    const entries = isThere ? await run(['bridge', '-j', 'fdb', 'show', 'dev', tunnelName(networkId)]) : '[]';
    return { device: readTunnel(networkId, links, entries, chain), guards: readGuards(networkId, chain) };
  };

  const canRun = async (...commands: (readonly string[])[]): Promise<boolean> => {
    try {
      for (const command of commands) await run(command);
      return true;
    } catch {
      return false; // what it is asked for, not a fault
    }
  };

  return {
    canMake: () => canRun(['ip', '-j', '-d', 'link', 'show', 'type', 'vxlan'], ['bridge', '-V'], LIST_GUARDS),
    async routes() {
      try {
        const routes = JSON.parse(await run(['ip', '-4', '-j', 'route', 'show'])) as { dst?: string }[]; // as iproute2 prints it
        return routes.flatMap(({ dst }) => (dst === undefined || dst === 'default' ? [] : [dst.includes('/') ? dst : `${dst}/32`]));
      } catch {
        return null; // another machine, without us: libvirt's own check is what there is
      }
    },
    async settle({ id, vni, cidr, name }) {
      const ends = await endsOf(database, id);
      const local = ends.get(host.id as HostId);
      if (local === undefined || vni === null) {
        throw new DomainError('INVALID_STATE', `Host "${host.name}" can't have overlay "${name}": it has no overlay address.`);
      }
      const peers = [...ends].flatMap(([hostId, address]) => (hostId === host.id ? [] : [address])).toSorted();
      const { device, guards } = await read(id);
      const present = device && { ...device, guards };
      for (const command of tunnelChanges(present, { networkId: id, vni, local, peers, gateway: gatewayOf(cidrOf(cidr)) })) await run(command);
    },
    async plug(networkId, ports) {
      for (const port of ports) await run(['ip', 'link', 'set', port, 'master', networkName(networkId)]);
    },
    async remove(networkId) {
      const { device, guards } = await read(networkId);
      for (const command of tunnelRemoval(networkId, device, guards)) await run(command);
    },
  };
}

/** The hosts that have an overlay, or are about to, by where their tunnels end. */
async function endsOf(database: Database, networkId: string): Promise<Map<string, string>> {
  const rows = await database.$queryRaw<{ host_id: string; address: string }[]>`
    SELECT t.host_id, t.address FROM network.tunnel_ends() t JOIN network_host h ON h.host_id = t.host_id
    WHERE h.network_id = ${networkId}::uuid AND t.address IS NOT NULL`;
  return new Map(rows.map((row) => [row.host_id, row.address]));
}
