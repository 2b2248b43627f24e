import { networkSteps } from '@novacron/contracts';
import type { NicId, VmId } from '@novacron/core';
import type { Step, StepDeclaration } from '@novacron/operations';
import type { Database, Tx } from '../database.ts';
import type { HostNetworks } from '../host/host-networks.ts';
import { forgetNics } from './nic-rows.ts';

/** The NICs of a new VM, or one NIC that is attached or detached. */
type Which = { vmId: VmId; nicId?: undefined } | { nicId: NicId; vmId?: undefined };
type NicStep = Step<Tx, Which, true | void, void>;
interface NicInput {
  nicId: NicId;
}

/** Of attachNic, as HOLD_NICS and MAKE_NICS for the NICs of a new VM. */
export const HOLD_NIC = { name: 'network.hold-nic', undoable: true } as const satisfies StepDeclaration<NicInput>;
export const MAKE_NIC = { name: 'network.make-nic', undoable: true } as const satisfies StepDeclaration<NicInput>;
/** Of detachNic: it is on its way out. Undo: it stays. */
export const HOLD_DETACH = { name: 'network.hold-detach', undoable: true } as const satisfies StepDeclaration<NicInput>;
export const DROP_NIC = { name: 'network.drop-nic', undoable: false } as const satisfies StepDeclaration<NicInput>;

const rowsOf = ({ vmId, nicId }: Which) => (nicId === undefined ? { vmId } : { id: nicId });
const nothing = (): Promise<void> => Promise.resolve();

const hold = (declaration: StepDeclaration & { undoable: true }): NicStep => ({
  ...declaration,
  run: nothing, // the mutation did it
  undo: nothing, // all of it is in the database
  commitUndo: (tx, which) => forgetNics(tx, rowsOf(which)),
});

const holdDetach: NicStep = {
  ...HOLD_DETACH,
  run: nothing,
  undo: nothing,
  commitUndo: async (tx, which) => void (await tx.nic.updateMany({ where: { ...rowsOf(which), state: 'DETACHING' }, data: { state: 'ACTIVE' } })),
};

export const serviceNicSteps: NicStep[] = [hold(networkSteps.HOLD_NICS), hold(HOLD_NIC), holdDetach];

/**
 * What a host has follows from the rows, which the reconciler looks at beside the steps. So each of these first says in the
 * rows what is wanted from now on, and then brings the host to it.
 */
const release = async (database: Database, networks: HostNetworks, which: Which): Promise<void> => {
  await database.nic.updateMany({ where: rowsOf(which), data: { state: 'RELEASING' } });
  await networks.takeDown(await database.nic.findMany({ where: rowsOf(which), select: { id: true, networkId: true } }));
};

const make = (declaration: StepDeclaration & { undoable: true }, networks: HostNetworks, database: Database): NicStep => ({
  ...declaration,
  async run(run, which) {
    await run.begin();
    await database.nic.updateMany({ where: { ...rowsOf(which), state: 'RESERVED' }, data: { state: 'ACTIVE' } });
    await networks.bringUp(rowsOf(which));
    return true; // recorded: what has an output has something to undo
  },
  async undo({ claim }, which) {
    if (claim.output !== null) await release(database, networks, which);
  },
});

const drop = (declaration: StepDeclaration, networks: HostNetworks, database: Database): NicStep => ({
  ...declaration,
  undoable: false,
  async run(run, which) {
    await run.begin();
    await release(database, networks, which);
  },
  commit: (tx, which) => forgetNics(tx, rowsOf(which)),
});

export const hostNicSteps = (networks: HostNetworks, database: Database): NicStep[] => [
  make(networkSteps.MAKE_NICS, networks, database),
  make(MAKE_NIC, networks, database),
  drop(networkSteps.DROP_NICS, networks, database),
  drop(DROP_NIC, networks, database),
];
