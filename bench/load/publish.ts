import { setTimeout as delay } from 'node:timers/promises';
import type { VmId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import type { ClientHandlers, Told } from './clients.ts';
import { writeMark } from './marks.ts';
import { sharedNow, type Child } from './processes.ts';
import type { Change } from './world.ts';

/** Whoever commits changes: each of one VM, in turn. */
export class Publisher {
  readonly #vmIds: readonly VmId[];
  readonly #commit: (change: Change) => void;
  #committed = 0;

  constructor(vmIds: readonly VmId[], commit: (change: Change) => void) {
    this.#vmIds = vmIds;
    this.#commit = commit;
  }

  get topics(): readonly VmId[] {
    return this.#vmIds;
  }

  one(): void {
    const vmId = this.#vmIds[this.#committed % this.#vmIds.length];
    if (vmId === undefined) throw new Error('There is no VM.');
    const sequence = 1 + Math.floor(this.#committed / this.#vmIds.length);
    this.#committed += 1;
    this.#commit({ vmId, name: writeMark(sequence) });
  }

  /** So many a second, evenly; returns how many it were. Each is marked when it is committed, be it late or not. */
  async steadily(perSecond: number, seconds: number): Promise<number> {
    const startedAt = sharedNow();
    const count = Math.round(perSecond * seconds);
    for (let done = 0; done < count; ) {
      const due = Math.min(count, Math.floor(((sharedNow() - startedAt) / 1_000) * perSecond) + 1);
      for (; done < due; done += 1) this.one();
      await delay(1);
    }
    return count;
  }
}

const WARM_UP_MS = 60_000;
const ROUND_MS = 5_000;
/** How long the last message may be on its way. */
const PATIENCE_MS = 30_000;

/** Changes every VM again and again until all clients have been told of one round: they are there, and the code is compiled. */
export async function warmUp(publisher: Publisher, clients: Child<ClientHandlers>, perSecond: number): Promise<void> {
  const deadline = performance.now() + WARM_UP_MS;
  for (;;) {
    const roundAt = sharedNow();
    await publisher.steadily(perSecond, publisher.topics.length / perSecond);
    const behind = () => clients.ask('behind', roundAt);
    const all = await eventually('all clients to be told of a round', async () => (await behind()) === 0, { timeoutMs: ROUND_MS }).catch(() => false);
    if (all) break;
    if (performance.now() > deadline) throw new Error(`${await behind()} clients are not told of changes.`);
  }
  await clients.ask('take');
}

/** What clients were told since it was last taken, once they were told so much, or do not get it. */
export async function allTold(clients: Child<ClientHandlers>, expected: number): Promise<Told> {
  await eventually('all messages', async () => (await clients.ask('told')) >= expected, { timeoutMs: PATIENCE_MS, intervalMs: 10 }).catch(() => false);
  return clients.ask('take');
}
