import { measureAcceptance, type AcceptanceSamples } from './acceptance.ts';
import { measureDelivery } from './delivery.ts';
import { acceptanceFigures, deliveryFigures, imageVmFigures, migrationFigures, migrationNotes, powerFigures, volumeFigures, type Figure } from './figures.ts';
import { measureImageVm } from './image-vm.ts';
import type { Lab } from './lab.ts';
import { measureMigration } from './migration.ts';
import { measurePower } from './power.ts';
import { measureVolumes } from './volumes.ts';

/** What one measurement has found. */
export interface Found {
  figures: Figure[];
  /** What must be said beside them. */
  notes?: string[];
  /** Resident memory of the whole system in one process, in bytes. */
  memory?: AcceptanceSamples['memory'];
}

interface Measurement {
  /** What it is about to do, for who waits. */
  says: string;
  /** `rounds`: how often what takes its time is done. */
  measure(lab: Lab, rounds: number): Promise<Found>;
}

/** In the order in which they are made: memory is that of a NovaCron that has just been started, and migration adds hosts to the fleet. */
export const MEASUREMENTS = {
  acceptance: {
    says: 'Mutations accepted',
    measure: async (lab) => {
      const samples = await measureAcceptance(lab);
      return { figures: acceptanceFigures(samples), memory: samples.memory };
    },
  },
  power: { says: 'Guests created, started and stopped', measure: async (lab, rounds) => ({ figures: powerFigures(await measurePower(lab, rounds)) }) },
  delivery: { says: 'Changes delivered', measure: async (lab) => ({ figures: deliveryFigures(await measureDelivery(lab)) }) },
  volumes: { says: 'Volumes made and cloned', measure: async (lab, rounds) => ({ figures: volumeFigures(await measureVolumes(lab, rounds)) }) },
  'image-vm': { says: 'VMs from an image until they have an address', measure: async (lab, rounds) => ({ figures: imageVmFigures(await measureImageVm(lab, rounds)) }) },
  migration: {
    says: 'Live migrations',
    measure: async (lab, rounds) => {
      const samples = await measureMigration(lab, rounds);
      return { figures: migrationFigures(samples), notes: migrationNotes(samples) };
    },
  },
} as const satisfies Record<string, Measurement>;

export type MeasurementName = keyof typeof MEASUREMENTS;
export const NAMES = Object.keys(MEASUREMENTS) as MeasurementName[]; // an object's own keys are its type's

/** In the order in which they are shown. */
export const SHOWN: Readonly<Record<MeasurementName, number>> = { power: 1, 'image-vm': 2, volumes: 3, migration: 4, acceptance: 5, delivery: 6 };
