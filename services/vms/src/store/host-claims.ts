import type { Tx } from '../database.ts';

interface Claim {
  vcpus: number;
  memory: bigint;
}

/**
 * Claims room on a host, if it is still online and still has it: one statement, so that two requests can't both take
 * the last of it. @returns false when it is not to be had any more
 */
export async function claimHost(tx: Tx, hostId: string, { vcpus, memory }: Claim): Promise<boolean> {
  const claimed = await tx.$executeRaw`
    UPDATE host SET allocated_vcpus = allocated_vcpus + ${vcpus}, allocated_memory = allocated_memory + ${memory}
    WHERE id = ${hostId}::uuid AND state = 'ONLINE'
      AND allocated_vcpus + ${vcpus} <= capacity_vcpus AND allocated_memory + ${memory} <= capacity_memory`;
  return claimed === 1;
}

export async function releaseClaim(tx: Tx, hostId: string, { vcpus, memory }: Claim): Promise<void> {
  await tx.$executeRaw`
    UPDATE host SET allocated_vcpus = allocated_vcpus - ${vcpus}, allocated_memory = allocated_memory - ${memory}
    WHERE id = ${hostId}::uuid`;
}
