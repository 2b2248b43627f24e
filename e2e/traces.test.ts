import { randomBytes } from 'node:crypto';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Graph } from './kit/client.ts';
import { startCollector, type CollectedSpan, type Collector } from './kit/collector.ts';
import { registerHost } from './kit/embedded.ts';
import { startFleet, type Fleet } from './kit/fleet.ts';
import { ADMIN } from './kit/people.ts';
import { Operation, vmInput } from './kit/vm.ts';

let collector: Collector;
let fleet: Fleet;
let me: Graph;

beforeAll(async () => {
  collector = await startCollector();
  fleet = await startFleet((part) => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_SERVICE_NAME: part,
    OTEL_BSP_SCHEDULE_DELAY: '100',
  }));
  me = fleet.graph.as(await fleet.graph.login(ADMIN.email, ADMIN.password));
  await registerHost(me, fleet.host);
}, 120_000);
afterAll(async () => {
  await fleet?.close();
  await collector?.close();
});

/** A client that traces: its own span, and the header that says so. */
function clientSpan() {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-01` } };
}

const spansOf = (traceId: string): CollectedSpan[] => collector.spans.filter((span) => span.traceId === traceId);

/** From a span up to where its trace began: `service: name` of each, and at last the id of the client's span. */
function ancestry(span: CollectedSpan): string[] {
  const parent = collector.spans.find((other) => other.spanId === span.parentSpanId);
  return [`${span.service}: ${span.name}`, ...(parent ? ancestry(parent) : [span.parentSpanId])];
}

it('show a mutation from its client to the last libvirt call, through every process, as one trace', async () => {
  const client = clientSpan();
  const { data, errors } = await me.ask(
    'mutation Make($input: CreateVmInput!) { createVm(input: $input) { vm { id createdBy { email } } operation { id } } }',
    { input: vmInput(fleet.guest, { name: 'much-traced' }) },
    client.headers,
  );
  expect(errors).toEqual([]);
  const operationId: string = data?.['createVm'].operation.id;
  const { steps } = await new Operation(me, operationId).succeeds();

  const gateway = ['gateway: gateway.fetch', 'gateway: gateway.execute', 'gateway: mutation Make', 'gateway: POST /graphql', client.spanId];
  const toStep = ['core: submit vm.create', 'core: subgraph vms', ...gateway];
  const known = (spanId: string) => spanId === client.spanId || collector.spans.some((span) => span.spanId === spanId);
  await eventually('the whole trace', () => {
    const spans = spansOf(client.traceId);
    return spans.some(({ name }) => name === 'libvirt DOMAIN_CREATE_WITH_FLAGS') && spans.every(({ parentSpanId }) => known(parentSpanId));
  });
  const named = (name: string): CollectedSpan => {
    const span = spansOf(client.traceId).find((one) => one.name === name);
    if (!span) throw new Error(`There is no span ${name}.`);
    return span;
  };
  const start = named('libvirt DOMAIN_CREATE_WITH_FLAGS');
  expect(ancestry(start)).toEqual(['agent: libvirt DOMAIN_CREATE_WITH_FLAGS', 'agent: step vms.start', ...toStep]);
  expect(start.attributes).toEqual({ 'rpc.system': 'libvirt', 'rpc.method': 'DOMAIN_CREATE_WITH_FLAGS' });
  expect(ancestry(named('plan'))).toEqual(['gateway: plan', ...gateway.slice(2)]);
  expect(ancestry(named('subgraph identity'))).toEqual(['identity: subgraph identity', ...gateway]);

  for (const { name } of steps) {
    const step = spansOf(client.traceId).find((span) => span.name === `step ${name}`);
    if (!step) continue; // done by the mutation itself
    expect(ancestry(step).slice(1)).toEqual(toStep);
    expect(step.attributes).toMatchObject({ 'novacron.operation.id': operationId, 'novacron.operation.kind': 'vm.create', 'novacron.step': name, 'novacron.step.attempt': 1 });
  }
});

it('name an error by its code', async () => {
  const client = clientSpan();
  await me.ask('mutation ($id: ID!) { startVm(id: $id) { vm { id } } }', { id: '01a1f872-9df4-7d5e-9124-bbe3469c0398' }, client.headers);
  const span = await eventually('the span of the subgraph', () => spansOf(client.traceId).find(({ name }) => name === 'subgraph vms'));
  expect(span).toMatchObject({ failed: true, attributes: { 'error.type': 'NOT_FOUND' } });
});

it('do as a client says that does not want to be traced', async () => {
  const [quiet, loud] = [clientSpan(), clientSpan()];
  await me.ask('{ me { email } }', {}, { traceparent: quiet.headers.traceparent.replace(/01$/, '00') });
  await me.ask('{ me { email } }', {}, loud.headers);
  await eventually('the trace after it', () => spansOf(loud.traceId).some(({ name }) => name === 'POST /graphql'));
  expect(spansOf(quiet.traceId)).toEqual([]);
});

it('are about requests, not about what the agent does all day, nor about probes', async () => {
  await (await fetch(`${fleet.graph.url}/health`)).text();
  const client = clientSpan();
  await me.ask('{ me { email } }', {}, client.headers);
  await eventually('the trace after it', () => spansOf(client.traceId).some(({ name }) => name === 'POST /graphql'));
  const roots = collector.spans.filter((span) => !collector.spans.some((other) => other.spanId === span.parentSpanId));
  expect(new Set(roots.map(({ name }) => name))).toEqual(new Set(['POST /graphql']));
});

it('hold nothing that a client has sent but names of operations', () => {
  const has = (text: string) => collector.received.some((body) => body.includes(text));
  expect(has('"Make"')).toBe(true);
  expect([ADMIN.password, ADMIN.email, me.token ?? '', 'much-traced', fleet.guest.bootDir].filter(has)).toEqual([]);
});
