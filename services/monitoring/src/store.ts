import type { VmSample } from '@novacron/contracts';
import type { TenantId } from '@novacron/core';
import { prismaAdapter } from '@novacron/database';
import { PrismaClient } from './generated/prisma/client.ts';
import type { HistoryWindow } from './rules.ts';

const DELETE_BATCH = 5_000;

interface BucketRow extends Omit<VmSample, 'at'> {
  bucket: number;
}

/** The kept samples: every statement that monitoring sends to the database. */
export class SampleStore {
  readonly #db: PrismaClient;

  /** Connects at the first query. `databaseUrl`: the owner's, or the one of monitoring's own role. */
  constructor(databaseUrl: string) {
    this.#db = new PrismaClient({ adapter: prismaAdapter(databaseUrl, 'monitoring') });
  }

  /** Adds samples in one statement; one that is already there stays as it is. */
  async add(samples: readonly VmSample[]): Promise<void> {
    if (samples.length > 0) await this.#db.vmSample.createMany({ data: [...samples], skipDuplicates: true });
  }

  /**
   * Averages per step of the window, the oldest first; a step without samples has none. VMs that nothing is known of
   * are not in the map, nor are samples of other tenants than those given.
   */
  async history(vmIds: readonly string[], window: HistoryWindow, tenants: readonly TenantId[] | 'all'): Promise<Map<string, VmSample[]>> {
    const { fromMs, toMs, stepMs } = window;
    const rows = await this.#db.$queryRaw<BucketRow[]>`
      SELECT vm_id AS "vmId", tenant_id AS "tenantId", (array_agg(host_id ORDER BY at DESC))[1] AS "hostId",
             floor((extract(epoch FROM at)::float8 * 1000 - ${fromMs}::float8) / ${stepMs}::float8)::int4 AS bucket,
             avg(cpu) AS cpu,
             round(avg(memory_used))::float8 AS "memoryUsed",
             round(avg(memory_total))::float8 AS "memoryTotal",
             avg(disk_read_bytes_per_second) AS "diskReadBytesPerSecond",
             avg(disk_write_bytes_per_second) AS "diskWriteBytesPerSecond",
             avg(net_receive_bytes_per_second) AS "netReceiveBytesPerSecond",
             avg(net_transmit_bytes_per_second) AS "netTransmitBytesPerSecond"
        FROM vm_sample
       WHERE vm_id = ANY(${[...vmIds]}::uuid[])
         AND at >= to_timestamp(${fromMs}::float8 / 1000) AND at < to_timestamp(${toMs}::float8 / 1000)
         AND (${tenants === 'all'}::bool OR tenant_id = ANY(${tenants === 'all' ? [] : [...tenants]}::uuid[]))
       GROUP BY vm_id, tenant_id, bucket
       ORDER BY vm_id, bucket`;
    const histories = new Map<string, VmSample[]>();
    for (const { bucket, ...averages } of rows) {
      const sample: VmSample = { ...averages, at: new Date(fromMs + bucket * stepMs).toISOString() };
      const history = histories.get(sample.vmId);
      if (history) history.push(sample);
      else histories.set(sample.vmId, [sample]);
    }
    return histories;
  }

  /** Deletes what is older, in batches that lock nobody out for long. */
  async deleteBefore(limit: Date): Promise<void> {
    for (;;) {
      const deleted = await this.#db.$executeRaw`
        DELETE FROM vm_sample WHERE ctid = ANY(ARRAY(SELECT ctid FROM vm_sample WHERE at < ${limit} LIMIT ${DELETE_BATCH}::int4))`;
      if (deleted < DELETE_BATCH) return;
    }
  }

  async close(): Promise<void> {
    await this.#db.$disconnect();
  }
}
