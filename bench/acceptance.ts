import { setTimeout as delay } from 'node:timers/promises';
import type { Accepted } from './client.ts';
import type { Lab } from './lab.ts';

/** How long it took until the operation's id was in hand, in milliseconds. */
export interface AcceptanceSamples {
  createVm: { sequential: number[]; concurrent: number[] };
  powerVerb: { sequential: number[]; concurrent: number[] };
  /** Resident memory of the whole system in one process, in bytes. */
  memory: { started: number; with100Vms: number };
}

const COUNT = 200;
const CONCURRENCY = 10;
const VMS_FOR_MEMORY = 100;
/** Time for a guest to come up and idle: they boot one after the other. */
const BOOT_MS = 3_000;

/**
 * Mutations in volume: VMs that are made and not started, and running ones that are paused and resumed in turn. Each
 * operation is carried out while the next mutations are sent.
 */
export async function measureAcceptance(lab: Lab): Promise<AcceptanceSamples> {
  const { client, product } = lab;
  const made: Accepted[] = [];
  const started = product.residentBytes();

  /** Makes VMs, `lanes` at a time, and waits until all are there. */
  async function createMany(count: number, lanes: number): Promise<number[]> {
    const accepted: Accepted[] = [];
    await inLanes(count, lanes, async () => void accepted.push(await client.createVm(lab.newVm({ start: false }))));
    await Promise.all(accepted.map(({ vmId }) => client.watch.reached(vmId, 'STOPPED', 0)));
    made.push(...accepted);
    return accepted.map(tookMs);
  }

  await createMany(VMS_FOR_MEMORY, 1); // these also warm up what comes after
  const with100Vms = product.residentBytes();
  const createVm = { sequential: await createMany(COUNT, 1), concurrent: await createMany(COUNT, CONCURRENCY) };
  await inLanes(made.length, CONCURRENCY, async (index) => remove(at(made, index)));

  const guests: Accepted[] = [];
  for (let index = 0; index < CONCURRENCY; index += 1) {
    const guest = await client.createVm(lab.newVm());
    await client.watch.reached(guest.vmId, 'RUNNING', 0);
    await delay(BOOT_MS);
    guests.push(guest);
  }
  const isPaused = new Set<string>();

  /** Pauses or resumes the guest, and waits until it is. */
  async function toggle(index: number): Promise<number> {
    const { vmId } = at(guests, index % CONCURRENCY);
    const pausing = !isPaused.has(vmId);
    const accepted = await client.verb(pausing ? 'pauseVm' : 'resumeVm', vmId);
    await client.watch.reached(vmId, pausing ? 'PAUSED' : 'RUNNING', accepted.sentAt);
    if (pausing) isPaused.add(vmId);
    else isPaused.delete(vmId);
    return tookMs(accepted);
  }

  /** With as many lanes as guests, each lane has a guest of its own. */
  async function toggleMany(lanes: number): Promise<number[]> {
    const samples: number[] = [];
    const perLane = COUNT / lanes;
    await Promise.all(
      Array.from({ length: lanes }, async (_, lane) => {
        for (let turn = 0; turn < perLane; turn += 1) samples.push(await toggle(lanes === 1 ? turn : lane));
      }),
    );
    return samples;
  }

  const powerVerb = { sequential: await toggleMany(1), concurrent: await toggleMany(CONCURRENCY) };
  await inLanes(guests.length, 2, async (index) => remove(at(guests, index)));
  return { createVm, powerVerb, memory: { started, with100Vms } };

  async function remove({ vmId }: Accepted): Promise<void> {
    const { sentAt } = await client.verb('deleteVm', vmId);
    await client.watch.reached(vmId, 'DELETED', sentAt);
  }
}

const tookMs = ({ sentAt, acceptedAt }: Accepted): number => acceptedAt - sentAt;

function at(accepted: readonly Accepted[], index: number): Accepted {
  const one = accepted[index];
  if (!one) throw new Error(`There is no VM ${index}.`);
  return one;
}

/** Does `count` pieces of work in so many lanes, each of which begins the next when its last one is done. */
async function inLanes(count: number, lanes: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
