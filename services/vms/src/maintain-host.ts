import { requirePermission, type RequestContext } from '@novacron/contracts';
import { DomainError, newId, parseId, type HostId, type OperationId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { goesOn, operationOf, submit, type AcceptedOperation } from '@novacron/operations';
import type { Database, HostRow } from './database.ts';
import { planMaintain, planServe } from './operations/maintain.ts';
import { holdHost, lockHost } from './store/hosts.ts';

export interface HostAccepted extends AcceptedOperation {
  host: HostRow;
}

/**
 * Takes a host out of service, or back into it. Out of service it takes no new VMs, and those that it has are moved away;
 * asked again while that is under way, it answers the same operation, and after some could not move, it begins anew.
 */
export function setHostMaintenance(database: Database, context: RequestContext, id: string, on: boolean): Promise<HostAccepted> {
  requirePermission(context.viewer, 'host:maintain');
  const hostId = parseId<HostId>(id, 'host');
  return inTransaction(database, async (tx) => {
    const host = await lockHost(tx, hostId);
    const draining = host.drainOperationId as OperationId | null; // brands are added where rows come in
    const isUnderWay = draining !== null && (await goesOn(tx, draining));
    if (on && draining !== null && isUnderWay) return { host, operationId: draining, bell: null };
    if (isUnderWay) throw new DomainError('INVALID_STATE', 'The host is being drained: cancel that operation first.', { retryable: true });
    if (on && host.heldState === 'MAINTENANCE') throw new DomainError('INVALID_STATE', 'The host is in maintenance already.');
    if (!on && host.heldState === null) throw new DomainError('INVALID_STATE', 'The host is not in maintenance.');
    if (on && host.state === 'OFFLINE') throw new DomainError('UNAVAILABLE', `Host "${host.name}" is offline: its VMs can't be moved.`);
    const operationId = newId<OperationId>();
    const after = await holdHost(tx, host, on ? 'DRAINING' : null, on ? operationId : null);
    const bell = await submit(
      tx,
      operationOf(context, { id: operationId, kind: on ? 'host.maintain' : 'host.serve', targetType: 'Host', targetId: hostId, tenantId: null }),
      on ? planMaintain({ hostId, operationId }) : planServe({ hostId, operationId }),
    );
    return { host: after, operationId, bell };
  });
}
