import type { VmState } from '@novacron/contracts';
import type { VmVerb } from '../src/rules.ts';

/** A step beside the host, and where the VM is left when it fails. */
interface SagaStep {
  name: string;
  /** The state of the VM after the step failed without any effect. */
  failedBefore: VmState;
  /** The same when it had had its effect; what has an undo is back where it was. */
  failedAfter: VmState;
}

export interface Saga {
  title: string;
  /** Where the VM is before; null when there is none yet. */
  from: 'STOPPED' | 'RUNNING' | 'PAUSED' | null;
  /** Where it is afterwards. */
  to: VmState;
  mutation: string;
  force?: boolean;
  /** Only for createVm. */
  start?: boolean;
  /** The guest has to answer: it needs a userspace. */
  asksGuest?: boolean;
  steps: readonly SagaStep[];
}

const step = (name: string, failedBefore: VmState, failedAfter = failedBefore): SagaStep => ({ name, failedBefore, failedAfter });

/** Every operation there is on a VM. A verb without its row does not compile. */
export const SAGAS: Readonly<Record<VmVerb | 'update', readonly Saga[]>> = {
  create: [
    { title: 'create', mutation: 'createVm', from: null, to: 'RUNNING', start: true, steps: [step('vms.define', 'DELETED'), step('vms.start', 'DELETED')] },
    { title: 'create, not started', mutation: 'createVm', from: null, to: 'STOPPED', start: false, steps: [step('vms.define-only', 'DELETED')] },
  ],
  update: [{ title: 'update', mutation: 'updateVm', from: 'STOPPED', to: 'STOPPED', steps: [step('vms.retitle', 'STOPPED')] }],
  start: [{ title: 'start', mutation: 'startVm', from: 'STOPPED', to: 'RUNNING', steps: [step('vms.start', 'STOPPED')] }],
  pause: [{ title: 'pause', mutation: 'pauseVm', from: 'RUNNING', to: 'PAUSED', steps: [step('vms.pause', 'RUNNING')] }],
  resume: [{ title: 'resume', mutation: 'resumeVm', from: 'PAUSED', to: 'RUNNING', steps: [step('vms.resume', 'PAUSED')] }],
  stop: [
    { title: 'stop by force', mutation: 'stopVm', force: true, from: 'RUNNING', to: 'STOPPED', steps: [step('vms.stop', 'RUNNING', 'STOPPED')] },
    { title: 'stop', mutation: 'stopVm', asksGuest: true, from: 'RUNNING', to: 'STOPPED', steps: [step('vms.stop', 'RUNNING', 'STOPPED')] },
  ],
  reboot: [
    { title: 'reboot by force', mutation: 'rebootVm', force: true, from: 'RUNNING', to: 'RUNNING', steps: [step('vms.reboot', 'RUNNING')] },
    { title: 'reboot', mutation: 'rebootVm', asksGuest: true, from: 'RUNNING', to: 'RUNNING', steps: [step('vms.reboot', 'RUNNING')] },
  ],
  // what is gone can't be brought back: the VM says so, and can be deleted again
  delete: [{ title: 'delete', mutation: 'deleteVm', from: 'RUNNING', to: 'DELETED', steps: [step('vms.delete', 'RUNNING', 'ERROR')] }],
};
