import { randomUUID } from 'node:crypto';
import { POOL, volumeName } from './image.ts';
import type { Lab } from './lab.ts';
import { fileOf, inTurns, timed, type Pair } from './turns.ts';

export interface VolumeSamples {
  create: Pair;
  clone: Pair;
}

const WARM_UP = 3;
const CREATE = 'mutation ($input: CreateVolumeInput!) { accepted: createVolume(input: $input) { volume { id } operation { id } } }';
const DELETE = 'mutation ($id: ID!) { accepted: deleteVolume(id: $id) { operation { id } } }';

/**
 * Volumes made in the same pool by NovaCron and by virsh, in turns: empty ones of the same definition; and boot disks, which
 * are clones of an image: NovaCron's with a VM around it that is not started, virsh's with a domain of the same definition.
 */
export async function measureVolumes(lab: Lab, rounds: number): Promise<VolumeSamples> {
  const { client, host } = lab;
  await client.operations();
  const image = await lab.image();
  return { create: await create(), clone: await clone() };

  async function create(): Promise<Pair> {
    const make = () => client.begin<{ volume: { id: string } }>(CREATE, { input: { name: lab.newName(), size: '64MiB' } });
    const remove = async (id: string): Promise<void> => void (await client.succeeded(await client.begin(DELETE, { id })));
    const model = await make();
    await client.succeeded(model);
    const modelFile = await volumeName(host, POOL, model.accepted.volume.id);
    const xml = await host.virsh('vol-dumpxml', '--pool', POOL, modelFile);
    const ours = 'bench-created.qcow2';
    const file = await fileOf('volume.xml', xml.replaceAll(modelFile, ours));
    const samples = await inTurns(rounds, WARM_UP, {
      async novacron() {
        const made = await make();
        const doneAt = await client.succeeded(made);
        await remove(made.accepted.volume.id);
        return doneAt - made.sentAt;
      },
      async virsh() {
        const tookMs = await timed(() => host.virsh('vol-create', POOL, file));
        await host.virsh('vol-delete', '--pool', POOL, ours);
        return tookMs;
      },
    });
    await remove(model.accepted.volume.id);
    return samples;
  }

  async function clone(): Promise<Pair> {
    const make = () => client.createVm({ name: lab.newName(), memory: '128MiB', start: false, imageId: image.id, networks: [] });
    const remove = async (vmId: string): Promise<void> => void (await client.succeeded(await client.verb('deleteVm', vmId)));
    const model = await make();
    await client.watch.reached(model.vmId, 'STOPPED', 0);
    const { xml, bootDisk } = await image.domainOf(model.vmId);
    const name = 'bench-cloned';
    const own = xml
      .replace(/<name>.*?<\/name>/, `<name>${name}</name>`)
      .replace(/<uuid>.*?<\/uuid>/, `<uuid>${randomUUID()}</uuid>`)
      .replaceAll(bootDisk.name, `${name}.qcow2`);
    const file = await fileOf(`${name}.xml`, own);
    const samples = await inTurns(rounds, WARM_UP, {
      async novacron() {
        const { vmId, sentAt } = await make();
        const doneAt = await client.watch.reached(vmId, 'STOPPED', sentAt);
        await remove(vmId);
        return doneAt - sentAt;
      },
      async virsh() {
        const backing = ['--format', 'qcow2', '--backing-vol', bootDisk.image, '--backing-vol-format', 'qcow2'];
        const tookMs = await timed(async () => {
          await host.virsh('vol-create-as', POOL, `${name}.qcow2`, String(bootDisk.size), ...backing);
          await host.virsh('define', file);
        });
        await host.virsh('undefine', name);
        await host.virsh('vol-delete', '--pool', POOL, `${name}.qcow2`);
        return tookMs;
      },
    });
    await remove(model.vmId);
    return samples;
  }
}
