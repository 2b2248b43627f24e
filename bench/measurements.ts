import { measureAcceptance, type AcceptanceSamples } from './acceptance.ts';
import { measureBroadcast } from './broadcast.ts';
import { measureDelivery } from './delivery.ts';
import { acceptanceFigures, deliveryFigures, imageVmFigures, migrationFigures, migrationNotes, powerFigures, volumeFigures, type Figure } from './figures.ts';
import { measureImageVm } from './image-vm.ts';
import { measureHttp } from './http.ts';
import type { Lab } from './lab.ts';
import { broadcastFigures, floodFigures, floodNotes, httpFigures, peerFigures, peerNotes, soakFigures, soakNotes, subscriptionFigures, type LoadFigure } from './load/figures.ts';
import type { Scale } from './load/scale.ts';
import { measureMigration } from './migration.ts';
import { measurePeer } from './peer.ts';
import { measurePower } from './power.ts';
import { measureSignInFlood } from './sign-in-flood.ts';
import { measureSoak } from './soak.ts';
import { measureSubscriptions } from './subscriptions.ts';
import { measureVolumes } from './volumes.ts';

/** What one measurement has found. */
export interface Found {
  figures?: Figure[];
  loads?: LoadFigure[];
  /** What must be said beside them. */
  notes?: string[];
  /** Resident memory of the whole system in one process, in bytes. */
  memory?: AcceptanceSamples['memory'];
}

interface Measurement {
  /** What it is about to do, for who waits. */
  says: string;
  /** Not in a run of all: it takes too long. */
  isAlone?: true;
  measure(means: Means): Promise<Found>;
}

/** What measurements work with. */
export interface Means {
  /** Opened when it is first asked for. */
  lab(): Promise<Lab>;
  /** How often what takes its time is done. */
  rounds: number;
  scale: Scale;
}

/** In the order in which they are made: load is put on gateways while nothing else runs, memory is that of a NovaCron that has just been started, and migration adds hosts to the fleet. */
export const MEASUREMENTS = {
  subscriptions: { says: 'Changes told to many clients', measure: async ({ scale }) => ({ loads: subscriptionFigures(await measureSubscriptions(scale), scale) }) },
  broadcast: { says: 'One change told to all clients', measure: async ({ scale }) => ({ loads: broadcastFigures(await measureBroadcast(scale), scale) }) },
  peer: {
    says: 'Changes told by NovaCron and by Hive Gateway',
    measure: async ({ scale }) => {
      const sides = await measurePeer(scale);
      return { loads: peerFigures(sides, scale), notes: peerNotes(sides) };
    },
  },
  http: { says: 'Queries of many clients', measure: async ({ scale }) => ({ loads: httpFigures(await measureHttp(scale), scale) }) },
  soak: {
    says: 'Clients that come and go',
    isAlone: true,
    measure: async ({ scale }) => {
      const soak = await measureSoak(scale);
      return { loads: soakFigures(soak, scale), notes: soakNotes(soak) };
    },
  },
  acceptance: {
    says: 'Mutations accepted',
    measure: async ({ lab }) => {
      const samples = await measureAcceptance(await lab());
      return { figures: acceptanceFigures(samples), memory: samples.memory };
    },
  },
  'sign-in-flood': {
    says: 'Queries beside people who guess at passwords',
    measure: async ({ lab, scale }) => {
      const flood = await measureSignInFlood(await lab(), scale);
      return { loads: floodFigures(flood), notes: floodNotes(flood) };
    },
  },
  power: { says: 'Guests created, started and stopped', measure: async ({ lab, rounds }) => ({ figures: powerFigures(await measurePower(await lab(), rounds)) }) },
  delivery: { says: 'Changes delivered', measure: async ({ lab }) => ({ figures: deliveryFigures(await measureDelivery(await lab())) }) },
  volumes: { says: 'Volumes made and cloned', measure: async ({ lab, rounds }) => ({ figures: volumeFigures(await measureVolumes(await lab(), rounds)) }) },
  'image-vm': { says: 'VMs from an image until they have an address', measure: async ({ lab, rounds }) => ({ figures: imageVmFigures(await measureImageVm(await lab(), rounds)) }) },
  migration: {
    says: 'Live migrations',
    measure: async ({ lab, rounds }) => {
      const samples = await measureMigration(await lab(), rounds);
      return { figures: migrationFigures(samples), notes: migrationNotes(samples) };
    },
  },
} as const satisfies Record<string, Measurement>;

export type MeasurementName = keyof typeof MEASUREMENTS;
export const NAMES = Object.keys(MEASUREMENTS) as MeasurementName[]; // an object's own keys are its type's
/** What a run of all measures. */
export const TOGETHER = NAMES.filter((name) => !('isAlone' in MEASUREMENTS[name]));

/** In the order in which they are shown. */
export const SHOWN: Readonly<Record<MeasurementName, number>> = { power: 1, 'image-vm': 2, volumes: 3, migration: 4, acceptance: 5, delivery: 6, subscriptions: 7, broadcast: 8, peer: 9, http: 10, 'sign-in-flood': 11, soak: 12 };
