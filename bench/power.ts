import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@novacron/testkit';
import type { PowerVerb } from './client.ts';
import type { Lab } from './lab.ts';
import { fileOf, pair, timed, type Pair } from './turns.ts';

export interface PowerSamples {
  create: Pair;
  start: Pair;
  stop: Pair;
  /** virsh that only connects and asks for the version: what it costs to run virsh at all. */
  virshAlone: number[];
}

/** Rounds before those that count: code is compiled, connections are open, files are in the page cache. */
const WARM_UP = 3;
/** A booting guest takes a whole CPU; after this it idles, and stopping it is measured, not the boot. */
const BOOT_MS = 3_000;

/**
 * The same guest through NovaCron and by virsh, in turn. Virsh gets the definition that NovaCron's VM has, under
 * another name and UUID.
 */
export async function measurePower(lab: Lab, rounds: number): Promise<PowerSamples> {
  const { client, host } = lab;
  const samples: PowerSamples = { create: pair(), start: pair(), stop: pair(), virshAlone: [] };

  const vm = await client.createVm(lab.newVm());
  await client.watch.reached(vm.vmId, 'RUNNING', 0);
  await through('stopVm', vm.vmId, 'STOPPED');
  const xml = await host.virsh('dumpxml', '--inactive', `nc-${vm.vmId}`);
  const created = await definition('created', xml);
  const defined = await definition('defined', xml);
  await host.virsh('define', defined.file);

  async function through(verb: PowerVerb, vmId: string, state: string): Promise<number> {
    const { sentAt } = await client.verb(verb, vmId);
    return (await client.watch.reached(vmId, state, sentAt)) - sentAt;
  }

  const creations = {
    async novacron() {
      const { vmId, sentAt } = await client.createVm(lab.newVm());
      samples.create.novacron.push((await client.watch.reached(vmId, 'RUNNING', sentAt)) - sentAt);
      await through('deleteVm', vmId, 'DELETED');
      await quiet();
    },
    async virsh() {
      samples.create.virsh.push(await timed(() => host.virsh('create', created.file)));
      await host.virsh('destroy', created.name);
      await quiet();
    },
  };
  const powers = {
    async novacron() {
      samples.start.novacron.push(await through('startVm', vm.vmId, 'RUNNING'));
      await delay(BOOT_MS);
      samples.stop.novacron.push(await through('stopVm', vm.vmId, 'STOPPED'));
      await quiet();
    },
    async virsh() {
      samples.start.virsh.push(await timed(() => host.virsh('start', defined.name)));
      await delay(BOOT_MS);
      samples.stop.virsh.push(await timed(() => host.virsh('destroy', defined.name)));
      await quiet();
    },
  };

  /** Nothing of the last guest is left to disturb the next. */
  async function quiet(): Promise<void> {
    await eventually('the end of the last guest', () => host.qemuPids().length === 0);
    await delay(50);
  }

  for (let round = 0; round < WARM_UP + rounds; round += 1) {
    const order = round % 2 === 0 ? (['novacron', 'virsh'] as const) : (['virsh', 'novacron'] as const);
    for (const by of order) await creations[by]();
    for (const by of order) await powers[by]();
    samples.virshAlone.push(await timed(() => host.virsh('version')));
  }
  for (const list of [...[samples.create, samples.start, samples.stop].flatMap(({ novacron, virsh }) => [novacron, virsh]), samples.virshAlone]) {
    list.splice(0, WARM_UP);
  }
  await through('deleteVm', vm.vmId, 'DELETED');
  await host.virsh('undefine', defined.name);
  return samples;
}

/** The definition as a file for virsh, with a name and a UUID of its own. */
async function definition(label: string, xml: string): Promise<{ name: string; file: string }> {
  const name = `bench-${label}`;
  const own = xml.replace(/<name>.*?<\/name>/, `<name>${name}</name>`).replace(/<uuid>.*?<\/uuid>/, `<uuid>${randomUUID()}</uuid>`);
  return { name, file: await fileOf(`${name}.xml`, own) };
}
