import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { testRun } from '@novacron/testkit';
import type { Accepted } from './client.ts';
import { volumeName } from './image.ts';
import { poolOf, type Lab, type Peer } from './lab.ts';
import { fileOf, orderOf, pair, timed, type Pair } from './turns.ts';

/** Of a guest that goes from one host to the other and back again. */
export interface Moves {
  /** Until the client sees it running there, and until virsh returns. */
  total: Pair;
  /** How long it stood still, by what libvirt says of the job that is over, in both cases. */
  downtime: Pair;
  /** How many guests crashed on arrival, and were started anew; those moves are in no sample. */
  lost: Record<keyof Pair, number>;
}

export interface MigrationSamples {
  shared: Moves;
  copied: Moves;
}

const run = promisify(execFile);

const WARM_UP = 1;
const MEMORY = '256MiB';
/** What the guest rewrites all the time (see testkit's guest). */
const REWRITES = 'nova.dirty=16';
/** The disk, and what there is to be copied of it. */
const [DISK_MIB, WRITTEN_MIB] = [128, 64];
/** Time for a guest to come up, and to have rewritten its memory a few times. */
const BOOT_MS = 6_000;
/** Time for one that was held to be at it again; and, on arrival, to show whether it has all of its memory. */
const SETTLE_MS = 1_000;
/** More of them lost than this is no accident. */
const LOST_MOST = 10;

const CREATE_POOL = 'mutation ($input: CreateStoragePoolInput!) { accepted: createStoragePool(input: $input) { storagePool { id } operation { id } } }';
const CREATE_VOLUME = 'mutation ($input: CreateVolumeInput!) { accepted: createVolume(input: $input) { volume { id } operation { id } } }';
const DELETE_VOLUME = 'mutation ($id: ID!) { accepted: deleteVolume(id: $id) { operation { id } } }';
const MIGRATE = 'mutation ($input: MigrateVmInput!) { accepted: migrateVm(input: $input) { migration { id } operation { id } } }';

type Kind = keyof MigrationSamples;

/** Two guests of the same definition, each with a disk: one is NovaCron's and moves by migrateVm, the other moves by virsh. One runs, the other is held. */
export async function measureMigration(lab: Lab, rounds: number): Promise<MigrationSamples> {
  const { client } = lab;
  const peers = await lab.peers();
  await client.operations();
  const content = await diskContent();
  return { shared: await measure('shared', await makeSharedPool()), copied: await measure('copied', await poolOf(client, peers[0].host.name)) };

  async function makeSharedPool(): Promise<string> {
    const path = (await testRun()).makeDirectory('shared-pool');
    const made = await client.begin<{ storagePool: { id: string } }>(CREATE_POOL, {
      input: { name: 'bench', hostIds: peers.map(({ id }) => id), path, shared: true },
    });
    await client.succeeded(made);
    return made.accepted.storagePool.id;
  }

  async function measure(kind: Kind, poolId: string): Promise<Moves> {
    const pool = kind === 'shared' ? 'nc-bench' : 'nc-local';
    const vm = await startVm(pool, poolId);
    const twin = await startTwin(kind, pool, vm);
    const moves: Moves = { total: pair(), downtime: pair(), lost: { novacron: 0, virsh: 0 } };
    let round = 0;
    for (; Math.min(moves.total.novacron.length, moves.total.virsh.length) < rounds; round += 1) {
      const [from, to] = round % 2 === 0 ? peers : [peers[1], peers[0]];
      const ways = { novacron: () => vm.move(kind, from, to), virsh: () => twin.move(from, to) };
      for (const by of orderOf(round)) {
        const move = await ways[by]();
        if (move === null && (moves.lost[by] += 1) > LOST_MOST) throw new Error(`More than ${LOST_MOST} guests crashed on arrival.`);
        if (move === null || round < WARM_UP || moves.total[by].length === rounds) continue;
        moves.total[by].push(move.totalMs);
        moves.downtime[by].push(move.downtimeMs);
      }
    }
    await twin.remove(round % 2 === 0 ? peers[0] : peers[1]);
    await vm.remove();
    return moves;
  }

  interface Guest {
    vmId: string;
    /** libvirt's name of its volume. */
    volume: string;
    move(kind: Kind, from: Peer, to: Peer): Promise<Move | null>;
    remove(): Promise<void>;
  }

  /** On the first host, with a disk that has content; held when this resolves. */
  async function startVm(pool: string, poolId: string): Promise<Guest> {
    const made = await client.begin<{ volume: { id: string } }>(CREATE_VOLUME, { input: { name: lab.newName(), size: `${DISK_MIB}MiB`, poolId } });
    await client.succeeded(made);
    const volumeId = made.accepted.volume.id;
    const volume = await volumeName(peers[0].host, pool, volumeId);
    await peers[0].host.virsh('vol-upload', '--pool', pool, volume, content);
    const { vmId } = await client.createVm({ ...lab.newVm({ memory: MEMORY, cmdline: REWRITES }), volumes: [volumeId], placement: { hostId: peers[0].id } });
    await client.watch.reached(vmId, 'RUNNING', 0);
    await delay(BOOT_MS);
    const reaches = async (state: string, { sentAt }: Accepted): Promise<void> => void (await client.watch.reached(vmId, state, sentAt));
    await reaches('PAUSED', await client.verb('pauseVm', vmId));
    return {
      vmId,
      volume,
      async move(kind, _from, to) {
        await reaches('RUNNING', await client.verb('resumeVm', vmId));
        await delay(SETTLE_MS);
        const input = { vmId, hostId: to.id, copyStorage: kind === 'copied' };
        const { sentAt, accepted } = await client.begin<{ migration: { id: string } }>(MIGRATE, { input });
        const { state, at } = await client.watch.reachedOne(vmId, ['RUNNING', 'CRASHED'], sentAt);
        await requireSucceeded(accepted.migration.id);
        const move = { totalMs: at - sentAt, downtimeMs: state === 'RUNNING' ? await downtimeOf(to, `nc-${vmId}`) : null };
        const survived = await survives(to, `nc-${vmId}`);
        if (!survived) {
          await client.watch.reached(vmId, 'CRASHED', sentAt);
          await client.succeeded(await client.verb('startVm', vmId));
          await delay(BOOT_MS);
        }
        await reaches('PAUSED', await client.verb('pauseVm', vmId));
        return survived ? arrived(move) : null;
      },
      async remove() {
        await reaches('DELETED', await client.verb('deleteVm', vmId));
        await client.succeeded(await client.begin(DELETE_VOLUME, { id: volumeId }));
      },
    };
  }

  /** It runs again where it was when a migration has failed, too. */
  async function requireSucceeded(id: string): Promise<void> {
    const { migration } = await client.ask<{ migration: { state: string } }>('query ($id: ID!) { migration(id: $id) { state error { code message } } }', { id });
    if (migration.state !== 'SUCCEEDED') throw new Error(`A migration did not succeed: ${JSON.stringify(migration)}`);
  }

  /** The same once more, for virsh: another name, UUID and volume. */
  async function startTwin(kind: Kind, pool: string, { vmId, volume }: Guest): Promise<{ move(from: Peer, to: Peer): Promise<Move | null>; remove(at: Peer): Promise<void> }> {
    const [{ virsh: first }, { virsh: second }] = [peers[0].host, peers[1].host];
    const name = `bench-${kind}`;
    const own = `${name}.qcow2`;
    const xml = await first('dumpxml', '--inactive', `nc-${vmId}`);
    const file = await fileOf(
      `${name}.xml`,
      xml.replace(/<name>.*?<\/name>/, `<name>${name}</name>`).replace(/<uuid>.*?<\/uuid>/, `<uuid>${randomUUID()}</uuid>`).replaceAll(volume, own),
    );
    await first('vol-create-as', pool, own, `${DISK_MIB}M`, '--format', 'qcow2');
    await first('vol-upload', '--pool', pool, own, content);
    if (kind === 'shared') await second('pool-refresh', pool);
    await first('define', file);
    await first('start', name);
    await delay(BOOT_MS);
    await first('suspend', name);
    // libvirt does not know that both hosts see the same directory: --unsafe says so, and changes nothing else
    const how = ['--live', '--p2p', '--persistent', '--undefinesource', kind === 'copied' ? '--copy-storage-all' : '--unsafe'];
    return {
      async move(from, to) {
        await from.host.virsh('resume', name);
        await delay(SETTLE_MS);
        const totalMs = await timed(() => from.host.virsh('migrate', ...how, name, `qemu+tcp://${to.host.address}/system`));
        const downtimeMs = await downtimeOf(to, name);
        const survived = await survives(to, name);
        if (!survived) {
          await to.host.virsh('start', name);
          await delay(BOOT_MS);
        }
        await to.host.virsh('suspend', name);
        if (kind === 'copied') await from.host.virsh('vol-delete', '--pool', pool, own);
        return survived ? arrived({ totalMs, downtimeMs }) : null;
      },
      async remove(at) {
        await at.host.virsh('destroy', name);
        await at.host.virsh('undefine', name);
        await at.host.virsh('vol-delete', '--pool', pool, own);
      },
    };
  }
}

interface Move {
  totalMs: number;
  downtimeMs: number;
}

function arrived({ totalMs, downtimeMs }: { totalMs: number; downtimeMs: number | null }): Move {
  if (downtimeMs === null) throw new Error('libvirt does not say how long a guest stood still.');
  return { totalMs, downtimeMs };
}

/** What the host that a guest came to says of its journey; null when it says nothing, as of one that has crashed. */
async function downtimeOf({ host }: Peer, domain: string): Promise<number | null> {
  const info = await host.virsh('domjobinfo', domain, '--completed', '--keep-completed').catch(() => '');
  const downtime = /Total downtime:\s+(\d+)\s+ms/.exec(info)?.[1];
  return downtime === undefined ? null : Number(downtime);
}

/**
 * Is it still there a moment later? QEMU before 9.0 misses some of what an emulated guest (TCG) writes while it is migrated, and
 * the guest's kernel panics then, whoever migrates it: the more often, the longer it takes.
 * Source: https://gitlab.com/qemu-project/qemu/-/commit/03bfc2188f061aa8381403f9280555f4e22c35a2
 */
async function survives({ host }: Peer, domain: string): Promise<boolean> {
  await delay(SETTLE_MS);
  return (await host.virsh('domstate', domain)).startsWith('running');
}

/** A qcow2 file, half of it random. */
async function diskContent(): Promise<string> {
  const dir = (await testRun()).makeDirectory('disk');
  const paths = { raw: join(dir, 'disk.raw'), qcow2: join(dir, 'disk.qcow2') };
  await run('sh', ['-c', `head -c ${WRITTEN_MIB}M /dev/urandom > "$0" && truncate -s ${DISK_MIB}M "$0" && qemu-img convert -O qcow2 "$0" "$1"`, paths.raw, paths.qcow2]);
  return paths.qcow2;
}
