import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { printSubgraphSchema } from '@apollo/subgraph';
import type { HostSample, VmSample } from '@novacron/contracts';
import { newId, type HostId, type TenantId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createMonitoringService } from '../src/service.ts';
import { SampleStore } from '../src/store.ts';
import { as, fieldOf, NOBODY, startMonitoring, vmSample, type TestMonitoring } from './monitoring.ts';

let monitoring: TestMonitoring;
let store: SampleStore;
beforeAll(async () => {
  monitoring = await startMonitoring();
  store = new SampleStore(monitoring.databaseUrl);
});
afterAll(async () => {
  await store?.close();
  await monitoring?.close();
});

const keepLatest = (...samples: VmSample[]) =>
  monitoring.redis.hset('novacron.latest.vm', Object.fromEntries(samples.map((sample) => [sample.vmId, JSON.stringify(sample)])));

it('is committed as it is', () => {
  expect(`${printSubgraphSchema(monitoring.service.subgraph.schema)}\n`).toBe(readFileSync(join(import.meta.dirname, '../schema.graphql'), 'utf8'));
});

describe('Vm.metrics', () => {
  const SELECTION = 'metrics { at cpu memoryUsed memoryTotal diskReadBytesPerSecond diskWriteBytesPerSecond netReceiveBytesPerSecond netTransmitBytesPerSecond vm { __typename id } }';

  it('is the latest sample, and names its VM', async () => {
    const sample = vmSample();
    await keepLatest(sample);
    const { vmId, tenantId, hostId: _hostId, ...measured } = sample;
    const answer = await monitoring.entities(as('viewer', tenantId), 'Vm', [vmId], SELECTION);
    expect(answer).toEqual({ data: { _entities: [{ metrics: { ...measured, vm: { __typename: 'Vm', id: vmId } } }] } });
  });

  it('is not there for whom the tenant is foreign, nor for nobody', async () => {
    const sample = vmSample();
    await keepLatest(sample);
    const see = async (context: ReturnType<typeof as>) => fieldOf(await monitoring.entities(context, 'Vm', [sample.vmId], SELECTION), 'metrics');
    expect(await see(as('tenant_admin'))).toEqual([null]);
    expect(await see(NOBODY)).toEqual([null]);
    expect(await see(as('platform_admin'))).toEqual([expect.objectContaining({ cpu: 0.25 })]);
  });

  it('is not there once it is stale, never was, or the id is none', async () => {
    const stale = vmSample({ at: new Date(Date.now() - 16_000).toISOString() });
    await keepLatest(stale);
    const answer = await monitoring.entities(as('platform_admin'), 'Vm', [stale.vmId, newId(), 'no-id'], SELECTION);
    expect(answer).toEqual({ data: { _entities: [{ metrics: null }, { metrics: null }, { metrics: null }] } });
  });

  it('asks Redis once for a page of 500', async () => {
    const samples = Array.from({ length: 500 }, () => vmSample());
    await keepLatest(...samples);
    await monitoring.redis.config('RESETSTAT');
    const answer = await monitoring.entities(as('platform_admin'), 'Vm', samples.map(({ vmId }) => vmId), 'metrics { cpu }');
    expect(fieldOf(answer, 'metrics')).toEqual(samples.map(({ cpu }) => ({ cpu })));
    expect(await monitoring.redis.info('commandstats')).toMatch(/cmdstat_hmget:calls=1,/);
  });
});

describe('Host.metrics', () => {
  const sample: HostSample = { hostId: newId<HostId>(), at: new Date().toISOString(), cpu: 0.5, memoryUsed: 1, memoryTotal: 2, vmsRunning: 3 };
  const SELECTION = 'metrics { cpu memoryUsed memoryTotal vmsRunning host { __typename id } }';

  it.each([
    ['who may see hosts', as('platform_admin'), { cpu: 0.5, memoryUsed: 1, memoryTotal: 2, vmsRunning: 3, host: { __typename: 'Host', id: sample.hostId } }],
    ['the administrator of a tenant', as('tenant_admin'), null],
    ['nobody', NOBODY, null],
  ])('for %s', async (_name, context, expected) => {
    const fresh = { ...sample, at: new Date().toISOString() };
    await monitoring.redis.hset('novacron.latest.host', sample.hostId, JSON.stringify(fresh));
    expect(await monitoring.entities(context, 'Host', [sample.hostId], SELECTION)).toEqual({ data: { _entities: [{ metrics: expected }] } });
  });
});

describe('Vm.metricsHistory', () => {
  const startMs = Date.now() - 3_600_000;
  const at = (seconds: number): string => new Date(startMs + seconds * 1000).toISOString();
  const history = (context: ReturnType<typeof as>, ids: readonly string[], args: string) =>
    monitoring.entities(context, 'Vm', ids, `metricsHistory(${args}) { at cpu memoryUsed memoryTotal netReceiveBytesPerSecond vm { id } }`);

  it('averages over steps and leaves out the empty ones', async () => {
    const vm = vmSample();
    const { vmId } = vm;
    await store.add([
      vmSample({ ...vm, at: at(0), cpu: 0.2, memoryUsed: null, netReceiveBytesPerSecond: 10 }),
      vmSample({ ...vm, at: at(10), cpu: 0.4, memoryUsed: 50, netReceiveBytesPerSecond: 30 }),
      vmSample({ ...vm, at: at(65), cpu: 1, memoryUsed: null }),
      vmSample({ ...vm, at: at(120), cpu: 0.9 }), // the end is not part of it
      vmSample({ cpu: 0.7, at: at(10) }), // another's
    ]);
    const answer = await history(as('viewer', vm.tenantId), [vmId], `from: "${at(0)}", to: "${at(120)}", stepMs: 30000`);
    expect(answer.errors).toBeUndefined();
    expect(fieldOf(answer, 'metricsHistory')).toEqual([
      [
        { at: at(0), cpu: expect.closeTo(0.3), memoryUsed: 50, memoryTotal: 200, netReceiveBytesPerSecond: 20, vm: { id: vmId } },
        { at: at(60), cpu: 1, memoryUsed: null, memoryTotal: 200, netReceiveBytesPerSecond: 3, vm: { id: vmId } },
      ],
    ]);
  });

  it('is empty for whom the tenant is foreign, for nobody, and for what is no id', async () => {
    const vm = vmSample({ at: at(0) });
    await store.add([vm]);
    const window = `from: "${at(-60)}"`;
    for (const [context, length] of [[as('platform_admin'), 1], [as('viewer', vm.tenantId), 1], [as('tenant_admin'), 0], [NOBODY, 0]] as const) {
      expect(fieldOf(await history(context, [vm.vmId], window), 'metricsHistory')).toEqual([expect.objectContaining({ length })]);
    }
    expect(fieldOf(await history(as('platform_admin'), ['no-id'], window), 'metricsHistory')).toEqual([[]]);
  });

  it('answers for any times that can be written', async () => {
    const answer = await history(as('platform_admin'), [newId()], 'from: "0000-01-01T00:00:00Z", to: "9999-12-31T23:59:59Z"');
    expect(answer).toEqual({ data: { _entities: [{ metricsHistory: [] }] } });
  });

  it.each([
    ['an end before the beginning', `from: "${at(10)}", to: "${at(0)}"`, 'to'],
    ['too many points', `from: "${at(-20_000)}", stepMs: 10000`, 'stepMs'],
    ['too short a step', `from: "${at(0)}", stepMs: 1`, 'stepMs'],
  ])('refuses %s', async (_name, args, field) => {
    const { errors } = await history(as('platform_admin'), [newId()], args);
    expect(errors?.map(({ extensions }) => extensions)).toEqual([expect.objectContaining({ code: 'BAD_USER_INPUT', field })]);
  });

  it('costs one statement for a page of 500', async () => {
    const samples = Array.from({ length: 500 }, () => vmSample({ at: at(0) }));
    await store.add(samples);
    await history(as('platform_admin'), [newId()], `from: "${at(-60)}"`); // connects
    const query = vi.spyOn(pg.Client.prototype, 'query');
    try {
      const answer = await history(as('platform_admin'), samples.map(({ vmId }) => vmId), `from: "${at(-60)}"`);
      expect(fieldOf(answer, 'metricsHistory').flat()).toHaveLength(500);
      expect(query).toHaveBeenCalledTimes(1);
    } finally {
      query.mockRestore();
    }
  });
});

describe('what is old', () => {
  it('is deleted when the service starts, and each minute', async () => {
    const tenantId = newId<TenantId>();
    const old = vmSample({ tenantId, at: new Date(Date.now() - 24 * 3_600_000 - 1_000).toISOString() });
    const kept = vmSample({ tenantId, at: new Date(Date.now() - 23 * 3_600_000).toISOString() });
    await store.add([old, kept]);
    await keepLatest(old, vmSample({ vmId: kept.vmId }));
    const another = createMonitoringService({ databaseUrl: monitoring.databaseUrl, redis: monitoring.redis });
    try {
      const window = { fromMs: 0, toMs: Date.now(), stepMs: 3_600_000 };
      await eventually('the deletion of an old sample', async () => {
        const left = await store.history([old.vmId, kept.vmId], window, 'all');
        return left.size === 1 && left.has(kept.vmId) && (await monitoring.redis.hexists('novacron.latest.vm', old.vmId)) === 0;
      });
      expect(await monitoring.redis.hexists('novacron.latest.vm', kept.vmId)).toBe(1);
    } finally {
      await another.close();
    }
  });

  it('goes in batches', async () => {
    const at = new Date(Date.now() - 25 * 3_600_000).toISOString();
    const samples = Array.from({ length: 5_100 }, () => vmSample({ at }));
    for (let first = 0; first < samples.length; first += 1_700) await store.add(samples.slice(first, first + 1_700));
    await store.deleteBefore(new Date(Date.now() - 24 * 3_600_000));
    const left = await store.history(samples.map(({ vmId }) => vmId), { fromMs: 0, toMs: Date.now(), stepMs: 3_600_000 }, 'all');
    expect(left.size).toBe(0);
  });
});

describe('without Redis', () => {
  it('says that metrics are not to be had, and answers history all the same', async () => {
    const own = await startMonitoring();
    try {
      own.redisServer.kill();
      await eventually('the loss of the connection', () => own.redis.status !== 'ready');
      const answer = await own.entities(as('platform_admin'), 'Vm', [newId()], `metrics { cpu } metricsHistory(from: "${new Date(0).toISOString()}") { cpu }`);
      expect(answer.data).toEqual({ _entities: [{ metrics: null, metricsHistory: [] }] });
      expect(answer.errors?.map(({ extensions }) => extensions)).toEqual([expect.objectContaining({ code: 'UNAVAILABLE', retryable: true })]);
    } finally {
      await own.close();
    }
  });
});
