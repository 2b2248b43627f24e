import { plan, type PlannedStep } from '@novacron/operations';
import type { VmRow } from '../database.ts';
import { DEFINE, DEFINE_ONLY, type DefineInput } from './define.ts';
import { HOLD } from './hold.ts';
import { START } from './start.ts';
import { onHost, type HoldInput } from './steps.ts';

/** Made in the database by the mutation, defined on its host, and started there unless told not to. */
export const planCreate = (vm: VmRow, hold: HoldInput, spec: DefineInput, start: boolean): PlannedStep[] => [
  plan(HOLD, hold, { done: true }),
  ...(start
    ? [plan(DEFINE, spec, onHost(vm)), plan(START, spec, onHost(vm))]
    : [plan(DEFINE_ONLY, spec, onHost(vm))]),
];
