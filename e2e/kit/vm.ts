import { eventually, type Guest } from '@novacron/testkit';
import type { Graph, Loose } from './client.ts';

const ACCEPTED = 'vm { id name state desiredState generation } operation { id kind state }';
const FINAL = new Set(['SUCCEEDED', 'FAILED', 'CANCELLED']);

export interface EndedOperation {
  id: string;
  kind: string;
  state: 'SUCCEEDED' | 'FAILED' | 'CANCELLED';
  progress: number;
  error: { code: string; message: string; field: string | null; retryable: boolean } | null;
  steps: { name: string; state: string; attempt: number }[];
}

/** An operation that was accepted. */
export class Operation {
  readonly graph: Graph;
  readonly id: string;

  constructor(graph: Graph, id: string) {
    this.graph = graph;
    this.id = id;
  }

  async read(): Promise<Loose> {
    const { operation } = await this.graph.run(
      'query ($id: ID!) { operation(id: $id) { id kind state progress error { code message field retryable } steps { name state attempt } } }',
      { id: this.id },
    );
    return operation;
  }

  /** Waits until its last step is being done. */
  async isAtWork(): Promise<void> {
    await eventually(`operation ${this.id} to be at work`, async () => (await this.read())['steps'].some((step: Loose) => step['state'] === 'RUNNING'));
  }

  /** Waits for its end, through outages of whatever it needs. */
  async ends(timeoutMs = 45_000): Promise<EndedOperation> {
    let last: Loose = {};
    await eventually(
      `the end of operation ${this.id}`,
      async () => {
        last = await this.read();
        if (!FINAL.has(last['state'])) throw new Error(`it is ${JSON.stringify(last)}`);
        return true;
      },
      { timeoutMs, intervalMs: 50 },
    );
    return last as EndedOperation; // as the query above asks for it
  }

  async succeeds(timeoutMs?: number): Promise<EndedOperation> {
    const ended = await this.ends(timeoutMs);
    if (ended.state !== 'SUCCEEDED') throw new Error(`${ended.kind} ended ${ended.state}: ${JSON.stringify(ended.error)}`);
    return ended;
  }
}

export type Verb = 'start' | 'stop' | 'reboot' | 'pause' | 'resume' | 'delete';

/** A VM in the hands of one user. */
export class Vm {
  readonly graph: Graph;
  readonly id: string;
  readonly name: string;

  constructor(graph: Graph, id: string, name: string) {
    this.graph = graph;
    this.id = id;
    this.name = name;
  }

  as(graph: Graph): Vm {
    return new Vm(graph, this.id, this.name);
  }

  async read(fields = 'id name state desiredState generation stateReason startedAt'): Promise<Loose> {
    return (await this.graph.run(`query ($id: ID!) { vm(id: $id) { ${fields} } }`, { id: this.id }))['vm'];
  }

  async becomes(state: string, timeoutMs = 30_000): Promise<void> {
    await eventually(
      `${this.name} to become ${state}`,
      async () => {
        const found = await this.read();
        if (found['state'] !== state) throw new Error(`it is ${JSON.stringify(found)}`);
        return true;
      },
      { timeoutMs, intervalMs: 50 },
    );
  }

  /** Asks for a verb; the operation that was accepted. */
  async asks(verb: Verb, { force }: { force?: boolean } = {}): Promise<Operation> {
    const field = `${verb}Vm`;
    const document = force === undefined ? `mutation ($id: ID!) { ${field}(id: $id) { ${ACCEPTED} } }` : `mutation ($id: ID!) { ${field}(id: $id, force: ${force}) { ${ACCEPTED} } }`;
    const data = await this.graph.run(document, { id: this.id });
    return new Operation(this.graph, data[field].operation.id);
  }

  /** Asks for a verb and waits until it is done. */
  async does(verb: Verb, options?: { force?: boolean }): Promise<void> {
    await (await this.asks(verb, options)).succeeds();
  }

  /** Brings it, by verbs, to where a test wants it. */
  async bring(wanted: 'STOPPED' | 'RUNNING' | 'PAUSED'): Promise<void> {
    const { state } = await this.read('state');
    if (state === wanted) return;
    if (wanted === 'STOPPED') return this.does('stop', { force: true });
    if (state === 'STOPPED') await this.does('start');
    if (state === 'PAUSED') await this.does('resume');
    if (wanted === 'PAUSED') await this.does('pause');
  }
}

let made = 0;

/** As CreateVmInput: a guest that boots in about two seconds, with a name of its own. */
export const vmInput = (guest: Guest, more: Loose = {}): Loose => {
  made += 1;
  return {
    name: `vm-${made}`,
    vcpus: 1,
    memory: '96MiB',
    kernel: { kernel: guest.kernel, initrd: guest.initrd, cmdline: guest.cmdline },
    ...more,
  };
};

/** Accepts a VM; `operation` brings it to life. */
export async function createVm(graph: Graph, guest: Guest, more: Loose = {}): Promise<{ vm: Vm; operation: Operation }> {
  const { createVm: accepted } = await graph.run(`mutation ($input: CreateVmInput!) { createVm(input: $input) { ${ACCEPTED} } }`, {
    input: vmInput(guest, more),
  });
  return { vm: new Vm(graph, accepted.vm.id, accepted.vm.name), operation: new Operation(graph, accepted.operation.id) };
}

/** A VM that is there. */
export async function haveVm(graph: Graph, guest: Guest, more: Loose = {}): Promise<Vm> {
  const { vm, operation } = await createVm(graph, guest, more);
  await operation.succeeds();
  return vm;
}
