import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '@novacron/libvirt';
import type { Lab } from './lab.ts';

const CHANGES = 200;
const WARM_UP = 20;
/** Time for a guest to come up and idle. */
const BOOT_MS = 3_000;

/**
 * Suspends and resumes a guest behind NovaCron's back: milliseconds from libvirt's own event, as a connection of the
 * bench's receives it, to the message of vmChanged.
 */
export async function measureDelivery(lab: Lab): Promise<number[]> {
  const { client, host } = lab;
  const { vmId, sentAt } = await client.createVm(lab.newVm());
  await client.watch.reached(vmId, 'RUNNING', sentAt);
  await delay(BOOT_MS);

  await using outsider = await connect({ uri: host.uri });
  await using listener = await connect({ uri: host.uri });
  let tell: (at: number) => void = () => {};
  await listener.onDomainEvent('lifecycle', ({ domain }) => {
    if (domain.uuid === vmId) tell(performance.now());
  });
  const domain = await outsider.domains.lookupByUuid(vmId);

  const samples: number[] = [];
  for (let change = 0; change < WARM_UP + CHANGES; change += 1) {
    const pausing = change % 2 === 0;
    const happened = new Promise<number>((resolve) => (tell = resolve));
    const askedAt = performance.now();
    await (pausing ? outsider.domains.suspend(domain) : outsider.domains.resume(domain));
    const [happenedAt, toldAt] = await Promise.all([happened, client.watch.reached(vmId, pausing ? 'PAUSED' : 'RUNNING', askedAt)]);
    samples.push(Math.max(0, toldAt - happenedAt));
  }
  const deletion = await client.verb('deleteVm', vmId);
  await client.watch.reached(vmId, 'DELETED', deletion.sentAt);
  return samples.slice(WARM_UP);
}
