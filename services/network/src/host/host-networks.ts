import { fromLibvirt, type HostAgent } from '@novacron/agent';
import { DomainError, type HostId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { LibvirtError } from '@novacron/libvirt';
import type { Logger } from 'pino';
import { cidrOf } from '../cidr.ts';
import type { Database, NetworkRow, Tx } from '../database.ts';
import { settleDefaultNetwork } from './default-network.ts';
import { defineFilters, removeNicFilters, sweepFilters } from './filters.ts';
import { removeNetwork, replug, settleNetwork } from './libvirt-network.ts';
import { createLock } from './lock.ts';
import type { RunOnHost } from './run-on-host.ts';
import { createTunnels, type Tunnels } from './tunnels.ts';
import { anyOn, nicsOn } from './wanted.ts';

/**
 * A host's networks and filters, brought to what the rows say: one thing at a time on a host, by steps and by the reconciler
 * alike. Every method looks first, and may be repeated.
 */
export interface HostNetworks {
  readonly agent: HostAgent;
  /** Looks what the host can do for networks, and brings everything of it to the rows. */
  settleAll(): Promise<void>;
  /** Brings the networks, addresses and filters up of a VM's NICs, or of one NIC, as far as the rows want them here. */
  bringUp(which: { vmId: string } | { id: string }): Promise<void>;
  /** After the rows say that NICs are not wanted here any more: nothing of them is left, nor of networks that only they needed. */
  takeDown(nics: readonly { id: string; networkId: string }[]): Promise<void>;
  /** Brings a network to the rows, if the host has, or is to have, it. */
  settle(networkId: string): Promise<void>;
  /** Brings the filters of NICs to the rows. */
  settleFilters(): Promise<void>;
}

interface Options {
  agent: HostAgent;
  database: Database;
  runOnHost: RunOnHost;
  logger: Logger;
  /** The hosts of an overlay have changed: their agents look at it. */
  tellPeers(networkId: string): void;
}

export function createHostNetworks({ agent, database, runOnHost, logger, tellPeers }: Options): HostNetworks {
  const hostId: HostId = agent.host.id;
  const tunnels: Tunnels = createTunnels(agent, database, runOnHost);
  const lock = createLock();

  /** Can libvirt make bridges here? Without root it can't, and has no filters either. */
  async function canBridge(): Promise<boolean> {
    const connection = await agent.connection();
    if (new URL(await connection.uri()).pathname === '/session') return false;
    try {
      await connection.filters.list();
      await connection.networks.list();
      return (await connection.type()) === 'QEMU';
    } catch (error) {
      if (error instanceof LibvirtError && error.is('NO_SUPPORT')) return false;
      throw error;
    }
  }

  async function settleOne(network: NetworkRow): Promise<void> {
    const connection = await agent.connection();
    const nics = await nicsOn(database, hostId, { networkId: network.id });
    if (network.isDefault) return settleDefaultNetwork({ connection, database, agent, tunnels, network, nics });
    if (nics.length === 0) return removeOne(network);
    const isNew = await addRow(network);
    try {
      const isStarted = await settleNetwork(connection, { id: network.id, kind: network.kind, cidr: cidrOf(network.cidr) }, nics.map(toEntry));
      if (isStarted) await replug(connection, tunnels, network.id, nics);
      if (network.kind === 'OVERLAY') await tunnels.settle(network);
      await setState(network.id, 'READY', null);
    } catch (error) {
      const { message } = fromLibvirt(error);
      await setState(network.id, 'FAILED', message);
      throw error;
    }
    if (isNew && network.kind === 'OVERLAY') tellPeers(network.id);
  }

  /** True when the host did not have it, or not yet up: the overlay's others are to hear of it. */
  async function addRow({ id, cidr }: NetworkRow): Promise<boolean> {
    const key = { networkId_hostId: { networkId: id, hostId } };
    const row = await database.networkHost.upsert({ where: key, create: { networkId: id, hostId, cidr }, update: {} });
    return row.state !== 'READY';
  }

  const setState = (networkId: string, state: 'READY' | 'FAILED', problem: string | null) =>
    database.networkHost.updateMany({
      where: { networkId, hostId, NOT: { state, problem } },
      data: { state, problem, seenAt: new Date() },
    });

  async function removeOne({ id, kind }: NetworkRow): Promise<void> {
    await removeNetwork(await agent.connection(), id);
    if (kind === 'OVERLAY' && (await tunnels.canMake())) await tunnels.remove(id);
    const isGone = await inTransaction(database, async (tx) => {
      await lockNetwork(tx, id); // as hold_nic, which makes the row for a NIC
      if ((await tx.nic.count({ where: { networkId: id, ...anyOn(hostId) } })) > 0) return false;
      return (await tx.networkHost.deleteMany({ where: { networkId: id, hostId } })).count > 0;
    });
    if (isGone && kind === 'OVERLAY') tellPeers(id);
  }

  async function settleById(networkId: string): Promise<void> {
    const network = await database.network.findUnique({ where: { id: networkId } });
    if (network) await settleOne(network);
  }

  async function settleAll(): Promise<void> {
    const mode = (await canBridge()) ? 'LIBVIRT' : 'USER';
    const overlays = mode === 'LIBVIRT' && (await tunnels.canMake());
    const data = { mode, overlays, seenAt: new Date() } as const;
    await database.hostNetworking.upsert({ where: { hostId }, create: { hostId, ...data }, update: data });
    await settleDefaultNetwork({ connection: await agent.connection(), database, agent, tunnels, network: null, nics: null });
    if (mode === 'USER') return;
    await defineFilters(await agent.connection(), await nicsOn(database, hostId));
    const here = { OR: [{ hosts: { some: { hostId } } }, { nics: { some: anyOn(hostId) } }] };
    for (const network of await database.network.findMany({ where: { isDefault: false, ...here }, orderBy: { id: 'asc' } })) {
      await settleOne(network).catch((error: unknown) => logger.warn({ err: error, networkId: network.id }, 'a network could not be brought up'));
    }
    await sweepFilters(await agent.connection(), database, hostId);
  }

  /** Where there are no bridges there are no filters, and the default network is nobody's work. */
  const hasBridges = async (): Promise<boolean> => (await database.hostNetworking.findUnique({ where: { hostId } }))?.mode === 'LIBVIRT';

  return {
    agent,
    settleAll: () => lock(settleAll),
    bringUp: (which) =>
      lock(async () => {
        const nics = await nicsOn(database, hostId, which); // as they are now: rules may have changed while we waited
        if (nics.length === 0 || !(await hasBridges())) return;
        await defineFilters(await agent.connection(), nics);
        for (const id of new Set(nics.map((nic) => nic.networkId))) await settleById(id);
      }),
    takeDown: (nics) =>
      lock(async () => {
        if (nics.length === 0 || !(await hasBridges())) return;
        const ids = nics.map(({ id }) => id);
        if (!(await removeNicFilters(await agent.connection(), database, hostId, ids))) {
          throw new DomainError('UNAVAILABLE', 'The hypervisor still uses the filter of a NIC that is to be removed.');
        }
        for (const id of new Set(nics.map((nic) => nic.networkId))) await settleById(id);
      }),
    settle: (networkId) => lock(() => settleById(networkId)),
    settleFilters: () =>
      lock(async () => {
        if (!(await hasBridges())) return;
        await defineFilters(await agent.connection(), await nicsOn(database, hostId));
        await sweepFilters(await agent.connection(), database, hostId);
      }),
  };
}

export const toEntry = (nic: { mac: string; address: string | null }) => ({ mac: nic.mac, address: nic.address ?? '' });

/** Whoever changes what is on a network, or where it is, holds its row. */
export const lockNetwork = async (tx: Tx, id: string): Promise<boolean> =>
  (await tx.$queryRaw<unknown[]>`SELECT FROM network WHERE id = ${id}::uuid FOR UPDATE`).length > 0;
