export { firstResult, operationOf, ringFor, type AcceptedOperation } from './accept.ts';
export { createBells, queueName, type Bells } from './bells.ts';
export { fromDatabase, isPassing, StaleClaim } from './database-errors.ts';
export { callDoor, passDoor, readDoor } from './doors.ts';
export {
  childrenOf,
  claimStep,
  emit,
  failStep,
  goesOn,
  heartbeat,
  recordStep,
  requestCancel,
  submit,
  type Bell,
  type ChildOperation,
  type Claim,
  type NewOperation,
  type PlannedStep,
  type Sql,
} from './kernel.ts';
export {
  chargeQuota,
  QUOTA_RESOURCES,
  quotaOf,
  quotasNearEnd,
  quotaUsage,
  requireRoomInFlight,
  setQuota,
  UNLIMITED,
  UNUSED,
  type Charge,
  type Limits,
  type NearEnd,
  type QuotaResource,
  type Resources,
  type TenantQuota,
} from './quota.ts';
export type { StepDeclaration } from '@novacron/contracts';
export { GaveUp, plan, PutBack, type AnyStep, type Step, type StepRun } from './steps.ts';
export { createRinger, type Ring, type Ringer } from './ringer.ts';
export { startWorker, type OperationsWorker, type WorkerOptions } from './worker.ts';
export { startSweeper, type Sweeper, type SweeperOptions } from './sweeper.ts';
