import { DomainError, type HostId, type PoolId } from '@novacron/core';
import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { Tx } from '../database.ts';
import { ensurePool, readPool, removePool } from '../host/pools.ts';
import { markerName } from '../rules.ts';
import { recordPool, type PoolReport } from '../store/pools.ts';
import type { HostSteps } from './steps.ts';

export interface PoolInput {
  poolId: PoolId;
}

interface MakePoolInput extends PoolInput {
  /** Writes the marker of a shared pool, which every other host must then see. */
  isFirst: boolean;
}

/** Done by the mutation's own transaction. Undo: the pool has never been. */
export const HOLD_POOL = { name: 'storage.hold-pool', undoable: true } as const satisfies StepDeclaration;
/** On each host: its libvirt has the pool. */
export const MAKE_POOL = { name: 'storage.make-pool', undoable: true } as const satisfies StepDeclaration;
/** The last step: it may be used. */
export const SETTLE_POOL = { name: 'storage.settle-pool', undoable: false } as const satisfies StepDeclaration;

const nothing = (): Promise<void> => Promise.resolve();
/** libvirt's smallest file. */
const MARKER_BYTES = 512;

export const holdPoolStep: Step<Tx, PoolInput, void, void> = {
  ...HOLD_POOL,
  run: nothing, // the mutation did it
  undo: nothing, // all of it is in the database
  async commitUndo(tx, { poolId }) {
    await tx.pool.deleteMany({ where: { id: poolId, state: 'CREATING' } });
  },
};

export const settlePoolStep: Step<Tx, PoolInput, void, void> = {
  ...SETTLE_POOL,
  run: nothing,
  async commit(tx, { poolId }) {
    await tx.pool.update({ where: { id: poolId }, data: { state: 'READY' } });
  },
};

export const makePoolStep = ({ host, context }: HostSteps): Step<Tx, MakePoolInput, PoolReport, void> => ({
  ...MAKE_POOL,
  async run(run, { poolId, isFirst }) {
    const pool = await context.database.pool.findUniqueOrThrow({ where: { id: poolId } });
    const connection = await host.agent.connection();
    await run.begin();
    const ref = await ensurePool(connection, pool);
    const marker = { pool, libvirtName: markerName(pool.id) };
    if (pool.shared && isFirst && !(await host.find(connection, marker))) {
      await host.make(marker, { size: MARKER_BYTES, format: 'raw', secretId: null });
    } else if (pool.shared && !isFirst) {
      await connection.pools.refresh(ref);
      if (!(await host.find(connection, marker))) {
        throw new DomainError('INVALID_STATE', `Host "${host.agent.host.name}" does not see the file that another host has written to the pool: this is not the same directory.`, { field: 'path' });
      }
    }
    return readPool(connection, ref, new Set());
  },
  async commit(tx, { poolId, isFirst }, report) {
    await tx.poolHost.update({ where: { poolId_hostId: { poolId, hostId: host.agent.host.id } }, data: { state: 'READY', problem: null } });
    if (isFirst) await recordPool(tx, poolId, report, context.policy.overcommit);
  },
  async undo(run, { poolId, isFirst }) {
    if (run.claim.output === null) return; // it only looked
    const pool = await context.database.pool.findUniqueOrThrow({ where: { id: poolId } });
    const connection = await host.agent.connection();
    if (isFirst && pool.shared && (await connection.pools.list({ active: true })).some(({ uuid }) => uuid === pool.id)) {
      await host.remove({ pool, libvirtName: markerName(pool.id) });
    }
    await removePool(connection, pool);
  },
});

export const planPool = (poolId: PoolId, hostIds: readonly HostId[]): PlannedStep[] => [
  plan(HOLD_POOL, { poolId }, { done: true }),
  ...hostIds.map((hostId, place) => plan(MAKE_POOL, { poolId, isFirst: place === 0 }, { hostId })),
  plan(SETTLE_POOL, { poolId }),
];
