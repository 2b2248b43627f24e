import { vmsSteps, type Viewer } from '@novacron/contracts';
import { DomainError, type OperationId } from '@novacron/core';
import { connectRedis, redisReady } from '@novacron/redis';
import type { StepRun } from '@novacron/operations';
import { eventually } from '@novacron/testkit';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hostSteps } from '../src/worker.ts';
import { SAGAS, type Saga } from './sagas.ts';
import { beginVerb, doVerb, makeVm, requestVm, startVms, viewerWith, type AnyStep, type TestVms } from './vms.ts';
import { startWitness, type Witness } from './witness.ts';

/**
 * What holds for every verb, whatever goes wrong: each step may be done twice, may fail, may be cut off, and Redis may
 * forget everything; the operation ends, nothing is left behind and nothing is done twice.
 */

/** What happens instead of a step, or of its undo. */
type Trouble = (step: AnyStep, effect: () => Promise<unknown>, run: StepRun) => Promise<unknown>;
let trouble: { run?: Trouble; undo?: Trouble } = {};
/** How often each operation has had the effect of a step that must not be repeated. */
const unrepeatable = new Map<string, number>();

const disturb = (step: AnyStep): AnyStep => ({
  ...step,
  run: (run, input) => {
    const effect = (): Promise<unknown> => {
      const { operationId } = run.claim;
      if (step.repeatable === false) unrepeatable.set(operationId, (unrepeatable.get(operationId) ?? 0) + 1);
      return step.run(run, input);
    };
    return trouble.run ? trouble.run(step, effect, run) : effect();
  },
  ...(step.undo && {
    undo: (run: StepRun, input: unknown) => {
      const effect = async (): Promise<unknown> => step.undo?.(run, input);
      return trouble.undo ? trouble.undo(step, effect, run) : effect();
    },
  }),
});

let vms: TestVms;
let witness: Witness;
let redis: Redis;
let operator: Viewer;

beforeAll(async () => {
  vms = await startVms({ disturb });
  witness = await startWitness(vms.hosts[0]!); // there is one
  redis = await redisReady(connectRedis(vms.redis.options));
  // room for one at a time: an operation that stayed in flight, or a VM that stayed charged, would refuse all that follow
  operator = viewerWith(['operator', await vms.tenant({ operationsInFlight: 1, vms: 2 })]);
});
afterEach(async () => {
  trouble = {};
  await vms.startEngine(); // a case that has failed may have left it dropped
});
afterAll(async () => {
  redis?.disconnect();
  await witness?.close();
  await vms?.close();
});

let number = 0;
const newName = (): string => `vm-${(number += 1)}`;

/** A VM that is used again and again, one for each kind of guest. */
const spares = new Map<boolean, string>();

/** The spare VM, brought into that state. */
async function vmIn(state: 'STOPPED' | 'RUNNING' | 'PAUSED', asksGuest: boolean): Promise<string> {
  const known = spares.get(asksGuest);
  const usable = known !== undefined && (await vms.row(known))['deleted_at'] === null;
  const kernel = asksGuest ? { kernel: vms.guest.kernel, initrd: vms.guest.initrd, cmdline: vms.guest.cmdline } : { kernel: vms.halting.kernel };
  const id = usable ? known : await makeVm(vms, operator, { name: newName(), start: false, kernel, memory: asksGuest ? '96MiB' : '32MiB' });
  spares.set(asksGuest, id);
  const now = (await vms.row(id))['state'];
  if (now === state) return id;
  if (state === 'STOPPED') await doVerb(vms, operator, 'stopVm', id, true);
  else if (now === 'STOPPED') await doVerb(vms, operator, 'startVm', id);
  else if (now === 'PAUSED') await doVerb(vms, operator, 'resumeVm', id);
  if (state === 'PAUSED') await doVerb(vms, operator, 'pauseVm', id);
  return id;
}

interface Begun {
  vmId: string;
  operationId: OperationId;
  /** What the VM was called, and is to be called. */
  name: string;
}

/** Brings a VM where the saga begins, then asks for it with that trouble ahead. `effective`: the guest will have to answer. */
async function begin(saga: Saga, ahead: typeof trouble, { effective = true } = {}): Promise<Begun> {
  const existing = saga.from === null ? null : await vmIn(saga.from, saga.asksGuest ?? false);
  if (existing && saga.asksGuest && effective) await witness.booted(existing);
  if (existing) witness.forget(existing);
  trouble = ahead;
  return ask(saga, existing);
}

async function ask(saga: Saga, vmId: string | null): Promise<Begun> {
  const name = newName();
  if (vmId === null) {
    const { data, error } = await requestVm(vms, operator, { name, start: saga.start });
    if (error) throw new Error(error.message);
    return { vmId: data['createVm'].vm.id, operationId: data['createVm'].operation.id, name };
  }
  if (saga.mutation === 'updateVm') {
    const { data, error } = await vms.ask(operator, 'mutation ($input: UpdateVmInput!) { updateVm(input: $input) { operation { id } } }', { input: { id: vmId, name } });
    if (error) throw new Error(error.message);
    return { vmId, operationId: data['updateVm'].operation.id, name };
  }
  const { operationId, error } = await beginVerb(vms, operator, saga.mutation, vmId, saga.force);
  if (error) throw new Error(error.message);
  return { vmId, operationId, name };
}

/**
 * Each of them, a second time, would be a guest disturbed twice. Reboots are counted where they are asked for: one reset
 * of QEMU gives two events, as SeaBIOS resets once more when it finds that it has run before.
 */
const POWER = ['started', 'stopped', 'suspended'];
const doneTwice = ({ vmId, operationId }: Pick<Begun, 'vmId' | 'operationId'>): string[] => [
  ...POWER.filter((event) => witness.seen(vmId).filter((one) => one === event).length > 1),
  ...((unrepeatable.get(operationId) ?? 0) > 1 ? ['a step that must not be repeated'] : []),
];

interface Outcome {
  state: string;
  error: object | null;
  /** The VM's state. */
  vm: string;
  /** What happened to the domain more often than it may. */
  twice: string[];
}

/** How an operation ended, once the VM is in `state` and nothing is left behind. */
async function outcome({ vmId, operationId }: Begun, state: string): Promise<Outcome> {
  const ended = await vms.ended(operationId);
  // what the host's events tell is recorded a moment later
  const vm = await eventually(`the VM to be ${state}`, async () => {
    const now: string = (await vms.row(vmId))['state'];
    if (now !== state) throw new Error(`it is ${now}`);
    return now;
  }, { timeoutMs: 3_000 });
  await eventually('a clean house', async () => ((await vms.nothingLeftBehind()), true), { timeoutMs: 3_000 });
  return { state: ended.state, error: ended.error, vm, twice: doneTwice({ vmId, operationId }) };
}

const SUCCEEDED = { state: 'SUCCEEDED', error: null, twice: [] };
const FAULT = { code: 'CONFLICT', message: 'The test made it fail.' } as const;
const FAILED = { state: 'FAILED', error: FAULT, twice: [] };
const fail = (): never => {
  throw new DomainError(FAULT.code, FAULT.message);
};
/** Until the engine is dropped, or the operation cancelled. */
const hang = (run: StepRun): Promise<never> =>
  new Promise((_resolve, reject) => {
    const end = (): void => reject(run.signal.reason as Error);
    if (run.signal.aborted) end();
    run.signal.addEventListener('abort', end, { once: true });
  });
const twice: Trouble = async (step, effect) => {
  const first = await effect();
  return step.repeatable === false ? first : effect(); // the engine does not repeat it either
};

const sagas = Object.values(SAGAS).flat();
const cases = sagas.flatMap((saga) => saga.steps.map((step) => ({ saga, step, title: saga.title, name: step.name })));

/** Steps that are parts of other services' operations: proven with those, through the graph (e2e/storage, e2e/network, e2e/migration). */
const ELSEWHERE: ReadonlySet<string> = new Set([vmsSteps.ATTACH_DEVICE, vmsSteps.DETACH_DEVICE, vmsSteps.RESIZE_DISK, vmsSteps.CLEAN_SOURCE, vmsSteps.MOVED].map(({ name }) => name));

it('are all there: each step of the workers is in a saga', () => {
  const inSagas = new Set(cases.map(({ name }) => name));
  const atWork = hostSteps(null as never, null as never).map(({ name }) => name); // only their names are asked for
  expect(atWork.filter((name) => !inSagas.has(name) && !ELSEWHERE.has(name))).toEqual([]);
});

/** What a case has made, or half unmade, goes. */
async function cleanUp(saga: Saga, vmId: string): Promise<void> {
  trouble = {};
  const gone = (await vms.row(vmId))['state'] === 'DELETED';
  if (!gone && (saga.from === null || saga.mutation === 'deleteVm')) await doVerb(vms, operator, 'deleteVm', vmId);
}

/** Only that step is troubled. */
const at = (name: string, what: Trouble): Trouble => (step, effect, run) => (step.name === name ? what(step, effect, run) : effect());

describe('each step done twice in a row has the same end', () => {
  it.each(sagas)('$title', async (saga) => {
    const begun = await begin(saga, { run: twice });
    expect(await outcome(begun, saga.to)).toMatchObject(SUCCEEDED);
    await cleanUp(saga, begun.vmId);
  });
});

describe('a step that fails ends the operation, and what was begun is undone, even twice', () => {
  it.each(cases)('$title: $name, before it had an effect', async ({ saga, step, name }) => {
    const begun = await begin(saga, { run: at(name, () => fail()), undo: twice }, { effective: false });
    expect(await outcome(begun, step.failedBefore)).toMatchObject(FAILED);
    await cleanUp(saga, begun.vmId);
  });

  it.each(cases)('$title: $name, after its effect', async ({ saga, step, name }) => {
    const begun = await begin(saga, { run: at(name, async (_step, effect) => (await effect(), fail())), undo: twice });
    expect(await outcome(begun, step.failedAfter)).toMatchObject(FAILED);
    await cleanUp(saga, begun.vmId);
  });

  it('an undo that fails is tried again', async () => {
    const [saga] = SAGAS.create;
    const failed = new Set<string>();
    const once: Trouble = async (step, effect) => {
      await effect();
      if (failed.has(step.name)) return undefined;
      failed.add(step.name);
      return fail();
    };
    const begun = await begin(saga!, { run: at('vms.start', async (_step, effect) => (await effect(), fail())), undo: once }); // it has two
    expect(await outcome(begun, 'DELETED')).toMatchObject(FAILED);
    expect([...failed]).toEqual(['vms.start', 'vms.define', 'vms.hold']);
  });
});

describe('the engine may die after the effect of a step: its successor ends the operation', () => {
  it.each(cases)('$title: $name', async ({ saga, name }) => {
    const reached = Promise.withResolvers<void>();
    const begun = await begin(saga, {
      run: at(name, async (_step, effect, run) => {
        await effect();
        reached.resolve();
        return hang(run);
      }),
    });
    await reached.promise;
    await vms.dropEngine();
    trouble = {};
    await vms.startEngine();
    // what can't be recognised afterwards is not done again
    const end = saga.mutation === 'rebootVm' ? { state: 'FAILED', error: { code: 'UNAVAILABLE' }, twice: [] } : SUCCEEDED;
    expect(await outcome(begun, saga.to)).toMatchObject(end);
    await cleanUp(saga, begun.vmId);
  });

  it('also after that of an undo', async () => {
    const [saga] = SAGAS.create;
    for (const name of ['vms.start', 'vms.define', 'vms.hold']) {
      const reached = Promise.withResolvers<void>();
      const begun = await begin(saga!, { // it has two
        run: at('vms.start', async (_step, effect) => (await effect(), fail())),
        undo: at(name, async (_step, effect, run) => {
          await effect();
          reached.resolve();
          return hang(run);
        }),
      });
      await reached.promise;
      await vms.dropEngine();
      trouble = {};
      await vms.startEngine();
      expect(await outcome(begun, 'DELETED')).toMatchObject(FAILED);
    }
  });
});

describe('Redis may forget everything: the operation ends all the same', () => {
  it.each(sagas)('$title', async (saga) => {
    if (saga.from !== null) await vmIn(saga.from, saga.asksGuest ?? false);
    const forget: Trouble = async (_step, effect) => {
      await redis.flushall();
      const output = await effect();
      await redis.flushall();
      return output;
    };
    await vms.dropEngine(); // nobody hears the first bell
    await vms.sql("UPDATE vms.host SET state = 'ONLINE'"); // as it would be for the moment in which nobody knows
    const begun = await begin(saga, { run: forget });
    await redis.flushall();
    await vms.startEngine();
    expect(await outcome(begun, saga.to)).toMatchObject(SUCCEEDED);
    await cleanUp(saga, begun.vmId);
  });

  it('also when it is undone', async () => {
    const [saga] = SAGAS.create;
    const forget: Trouble = async (_step, effect) => {
      const output = await effect();
      await redis.flushall();
      return output;
    };
    const begun = await begin(saga!, { run: at('vms.start', async (_step, effect) => (await effect(), await redis.flushall(), fail())), undo: forget }); // it has two
    expect(await outcome(begun, 'DELETED')).toMatchObject(FAILED);
  });
});

describe('cancelled after the effect of a step, an operation is undone as far as it can be', () => {
  it.each(cases.filter(({ saga }) => saga.mutation !== 'deleteVm'))('$title: $name', async ({ saga, step, name }) => {
    const reached = Promise.withResolvers<void>();
    const begun = await begin(saga, {
      run: at(name, async (_step, effect, run) => {
        await effect();
        reached.resolve();
        return hang(run);
      }),
    });
    await reached.promise;
    await vms.cancel(begun.operationId);
    expect(await outcome(begun, step.failedAfter)).toMatchObject({ state: 'CANCELLED', error: null, twice: [] });
    expect((await vms.row(begun.vmId))['desired_state']).toBe(saga.from ?? 'DELETED'); // the wish is withdrawn
  });

  it('what fails past the point of no return is tried again until it is done', async () => {
    const [saga] = SAGAS.delete;
    let tries = 0;
    const begun = await begin(saga!, { run: at('vms.bury', async (_step, effect) => ((tries += 1) < 3 ? fail() : effect())) }); // it has one
    expect(await outcome(begun, 'DELETED')).toMatchObject(SUCCEEDED);
    expect(tries).toBe(3);
  });

  it('delete is past the point of no return', async () => {
    const [saga] = SAGAS.delete;
    const reached = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const begun = await begin(saga!, { run: async (_step, effect) => (reached.resolve(), await released.promise, effect()) }); // it has one
    await reached.promise;
    await expect(vms.cancel(begun.operationId)).rejects.toMatchObject({ code: 'INVALID_STATE' });
    released.resolve();
    expect(await outcome(begun, 'DELETED')).toMatchObject(SUCCEEDED);
  });
});
