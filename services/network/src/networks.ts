import { requireInTenant, requirePermission, requireViewer, tenantFor, type RequestContext } from '@novacron/contracts';
import { checkName, DomainError, newId, parseId, type HostId, type NetworkId, type OperationId, type TenantId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { chargeQuota, firstResult, operationOf, plan, submit, type PlannedStep } from '@novacron/operations';
import { cidrOf, formatAddress, formatCidr, overlaps, parseCidr, type Cidr } from './cidr.ts';
import type { Database, NetworkRow, Tx } from './database.ts';
import { canHaveOverlays, fleetAddresses } from './doors.ts';
import { DROP_NETWORK, FORGET_NETWORK, forgetNetwork, HOLD_NETWORK } from './operations/networks.ts';
import { lockOut, type Accepted } from './requests.ts';
import { checkKind, checkNetworkCidr, LIMITS } from './rules.ts';

export interface CreateNetworkInput {
  name: string;
  kind?: string | null | undefined;
  cidr?: string | null | undefined;
  tenantId?: string | null | undefined;
  idempotencyKey?: string | null | undefined;
}

/** Makes a network. Hosts get it when one of their VMs needs it. */
export function createNetwork(database: Database, context: RequestContext, input: CreateNetworkInput): Promise<Accepted<NetworkRow>> {
  const viewer = requireViewer(context.viewer);
  const tenantId = tenantFor(viewer, input.tenantId, 'network');
  requirePermission(viewer, 'network:create', tenantId);
  const checked = { name: checkName(input.name), kind: checkKind(input.kind ?? 'NAT'), cidr: input.cidr == null ? null : checkNetworkCidr(input.cidr), tenantId };
  const result = { networkId: newId<NetworkId>(), operationId: newId<OperationId>() };
  return inTransaction(database, async (tx) => {
    const first = await firstResult(tx, context, 'createNetwork', input.idempotencyKey, checked, result);
    if (first) return { row: await findFirst(tx, first.networkId), operationId: first.operationId, bell: null };
    await lockOut(tx, 'create'); // ranges and VNIs are compared with everyone's
    await requireRoom(tx, tenantId, checked.name);
    if (checked.kind === 'OVERLAY' && !(await canHaveOverlays(tx))) {
      throw new DomainError('INVALID_STATE', 'No host can have overlays: each needs an overlay address, and its agent on it.', { field: 'kind' });
    }
    const row = await tx.network.create({
      data: {
        id: result.networkId,
        tenantId,
        name: checked.name,
        kind: checked.kind,
        cidr: await chooseCidr(tx, tenantId, checked.cidr),
        vni: checked.kind === 'OVERLAY' ? await freeVni(tx) : null,
      },
    });
    await chargeQuota(tx, tenantId, { networks: 1 });
    const operation = operationOf(context, { id: result.operationId, kind: 'network.create', targetType: 'Network', targetId: row.id, tenantId });
    const bell = await submit(tx, operation, [plan(HOLD_NETWORK, { networkId: result.networkId }, { done: true })]);
    return { row, operationId: result.operationId, bell };
  });
}

async function findFirst(tx: Tx, id: string): Promise<NetworkRow> {
  const row = await tx.network.findUnique({ where: { id } });
  if (!row) throw new DomainError('NOT_FOUND', 'The network that was made with this idempotency key has been deleted.', { field: 'idempotencyKey' });
  return row;
}

async function requireRoom(tx: Tx, tenantId: TenantId, name: string): Promise<void> {
  if (await tx.network.findUnique({ where: { tenantId_name: { tenantId, name } }, select: { id: true } })) {
    throw new DomainError('ALREADY_EXISTS', `The tenant has a network named "${name}" already.`, { field: 'name' });
  }
  const { most } = LIMITS.networksOfTenant;
  if ((await tx.network.count({ where: { tenantId } })) >= most) throw new DomainError('QUOTA_EXCEEDED', `A tenant has at most ${most} networks.`);
}

/**
 * The range that was asked for, if it is the tenant's to have; else one of 256 addresses that no network has. Never one with a host of the
 * fleet in it: what other hosts say to that one would go to guests.
 */
async function chooseCidr(tx: Tx, tenantId: TenantId, wanted: string | null): Promise<string> {
  const networks = await tx.network.findMany({ select: { name: true, cidr: true, tenantId: true } });
  const fleet = (await fleetAddresses(tx)).flatMap((address) => parseCidr(`${address}/32`) ?? []);
  if (wanted !== null) {
    const range = cidrOf(wanted);
    if (fleet.some((address) => overlaps(address, range))) throw new DomainError('BAD_USER_INPUT', 'This range is the fleet\'s own.', { field: 'cidr' });
    const other = networks.find((one) => (one.tenantId === tenantId || one.tenantId === null) && overlaps(cidrOf(one.cidr), range));
    if (!other) return wanted;
    throw new DomainError('BAD_USER_INPUT', `This range overlaps that of network "${other.name}" (${other.cidr}).`, { field: 'cidr' });
  }
  const taken = [...fleet, ...networks.map(({ cidr }) => cidrOf(cidr))];
  const isFree = (range: Cidr): boolean => !taken.some((one) => overlaps(one, range));
  for (let base = 0x0a_00_00_00; base < 0x0a_64_00_00; base += 256) {
    const range = { base, prefix: 24 };
    if (isFree(range)) return formatCidr(range);
  }
  throw new DomainError('NO_CAPACITY', `No range is free between 10.0.0.0 and ${formatAddress(0x0a_64_00_00 - 1)}: choose one.`, { field: 'cidr' });
}

/** The lowest that no overlay has. */
async function freeVni(tx: Tx): Promise<number> {
  const [row] = await tx.$queryRaw<{ vni: number | null }[]>`
    SELECT min(v)::int AS vni FROM (SELECT 1 AS v UNION ALL SELECT vni + 1 FROM network WHERE vni IS NOT NULL) candidate
    WHERE NOT EXISTS (SELECT FROM network WHERE vni = v)`;
  const vni = row?.vni ?? 1;
  if (vni > LIMITS.vni.most) throw new DomainError('NO_CAPACITY', 'Every number of an overlay is taken.', { field: 'kind' });
  return vni;
}

/** Removes a network that no NIC is on: from the hosts that have it still, then altogether. */
export function deleteNetwork(database: Database, context: RequestContext, id: string): Promise<Accepted<NetworkRow>> {
  requireViewer(context.viewer);
  const networkId = parseId<NetworkId>(id, 'network');
  return inTransaction(database, async (tx) => {
    await tx.$queryRaw`SELECT FROM network WHERE id = ${networkId}::uuid FOR UPDATE`;
    const network = await tx.network.findUnique({ where: { id: networkId }, include: { hosts: true } });
    if (!network) throw new DomainError('NOT_FOUND', 'There is no network with this id.');
    if (network.tenantId === null) {
      requirePermission(context.viewer, 'network:delete');
      throw new DomainError('INVALID_STATE', 'The default network is NovaCron\'s own: it stays.');
    }
    requireInTenant(context.viewer, 'network:delete', network.tenantId, 'network');
    if (network.state === 'DELETING' && network.operationId !== null) return { row: network, operationId: network.operationId as OperationId, bell: null };
    const nics = await tx.nic.count({ where: { networkId } });
    if (nics > 0) throw new DomainError('INVALID_STATE', `There ${nics === 1 ? 'is a NIC' : `are ${nics} NICs`} on network "${network.name}": detach them first.`);
    const operationId = newId<OperationId>();
    const operation = operationOf(context, { id: operationId, kind: 'network.delete', targetType: 'Network', targetId: networkId, tenantId: network.tenantId as TenantId });
    const hosts = network.hosts.map(({ hostId }) => hostId as HostId); // brands are added where rows come in
    const steps: PlannedStep[] = [
      plan(HOLD_NETWORK, { networkId }, { done: true }),
      ...hosts.map((hostId) => plan(DROP_NETWORK, { networkId }, { hostId })),
      plan(FORGET_NETWORK, { networkId }, { done: hosts.length === 0 }),
    ];
    const row = { ...network, state: 'DELETING' as const, operationId };
    if (hosts.length === 0) await forgetNetwork(tx, networkId);
    else await tx.network.update({ where: { id: networkId }, data: { state: row.state, operationId } });
    return { row, operationId, bell: await submit(tx, operation, steps) };
  });
}
