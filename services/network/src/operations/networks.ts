import type { NetworkId, TenantId } from '@novacron/core';
import { chargeQuota, type Step, type StepDeclaration } from '@novacron/operations';
import type { Tx } from '../database.ts';
import type { HostNetworks } from '../host/host-networks.ts';

interface NetworkInput {
  networkId: NetworkId;
}
type NetworkStep = Step<Tx, NetworkInput, void>;

/** A network is made, or about to be deleted, by the mutation's own transaction. */
export const HOLD_NETWORK = { name: 'network.hold-network', undoable: false, settles: true } as const satisfies StepDeclaration<NetworkInput>;
/** On each host that has it still: it is gone. */
export const DROP_NETWORK = { name: 'network.drop-network', undoable: false } as const satisfies StepDeclaration<NetworkInput>;
/** Its row is gone, too. */
export const FORGET_NETWORK = { name: 'network.forget-network', undoable: false } as const satisfies StepDeclaration<NetworkInput>;

export const holdNetworkStep: NetworkStep = { ...HOLD_NETWORK, run: () => Promise.resolve() };

export const dropNetworkStep = (networks: HostNetworks): NetworkStep => ({
  ...DROP_NETWORK,
  async run(run, { networkId }) {
    await run.begin();
    await networks.settle(networkId); // nothing is on it: it goes
  },
});

/** Nothing of the network is left, and its tenant is charged for it no longer. Idempotent. */
export async function forgetNetwork(tx: Tx, networkId: NetworkId): Promise<void> {
  const rows = await tx.$queryRaw<{ tenantId: TenantId | null }[]>`DELETE FROM network WHERE id = ${networkId}::uuid RETURNING tenant_id AS "tenantId"`;
  for (const { tenantId } of rows) if (tenantId !== null) await chargeQuota(tx, tenantId, { networks: -1 });
}

export const forgetNetworkStep: NetworkStep = {
  ...FORGET_NETWORK,
  run: () => Promise.resolve(),
  commit: (tx, { networkId }) => forgetNetwork(tx, networkId),
};
