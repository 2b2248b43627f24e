import type { Prisma } from '../generated/prisma/client.ts';
import type { Tx } from '../database.ts';

/**
 * NICs are gone: their addresses are free, and remembered for as long as a lease may live. Where a network was only about to
 * come to their host, it is so no more.
 */
export async function forgetNics(tx: Tx, where: Prisma.NicWhereInput): Promise<void> {
  const nics = await tx.nic.findMany({ where, select: { id: true, networkId: true, address: true } });
  if (nics.length === 0) return;
  const networkIds = [...new Set(nics.map(({ networkId }) => networkId))];
  await tx.$queryRaw`SELECT FROM network WHERE id = ANY (${networkIds}::uuid[]) ORDER BY id FOR UPDATE`;
  await tx.nic.deleteMany({ where: { id: { in: nics.map(({ id }) => id) } } });
  await tx.freedAddress.createMany({
    data: nics.flatMap(({ networkId, address }) => (address === null ? [] : [{ networkId, address }])),
    skipDuplicates: true,
  });
  await tx.$executeRaw`DELETE FROM freed_address WHERE freed_at < clock_timestamp() - interval '1 hour'`;
  await tx.$executeRaw`
    DELETE FROM network_host h USING network n WHERE n.id = h.network_id AND n.id = ANY (${networkIds}::uuid[]) AND NOT n.is_default AND h.state = 'PENDING'
      AND NOT EXISTS (SELECT FROM nic c WHERE c.network_id = h.network_id AND h.host_id IN (c.host_id, c.migration_host_id))`;
}
