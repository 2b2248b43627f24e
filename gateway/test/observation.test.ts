import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';

const TOKEN = 'for prometheus alone';

let fixture: Fixture;
let token: string;
let vmId: string;

beforeAll(async () => {
  fixture = await startGateway({
    options: { slowOperationMs: 20, metricsToken: TOKEN },
    dataSources: (sources) => ({
      ...sources,
      identity: {
        ...sources['identity']!, // of the small graph
        async process(request) {
          if (request.context.userAgent === 'hurts') await new Promise((resolve) => setTimeout(resolve, 40)); // a subgraph that takes its time
          return sources['identity']!.process(request);
        },
      },
    }),
  });
  token = fixture.authority.signIn([['viewer', fixture.tenant]]).token;
  vmId = fixture.world.addVm(fixture.tenant).id;
});
afterAll(() => fixture?.close());

const scrape = async (authorization?: string) => fetch(`${fixture.gateway.url}/metrics`, { headers: authorization === undefined ? {} : { authorization } });
const lines = async (name: string): Promise<string[]> => (await (await scrape(`Bearer ${TOKEN}`)).text()).split('\n').filter((line) => line.startsWith(name));

describe('/metrics', () => {
  it('are for whoever has the token', async () => {
    expect((await scrape()).status).toBe(401);
    expect((await scrape('Bearer something else')).status).toBe(401);
    expect((await scrape(`Bearer ${TOKEN}`)).status).toBe(200);
  });

  it('tell operations by name, type and outcome, and fetches by subgraph', async () => {
    await fixture.query('query Owner($id: ID!) { vm(id: $id) { name createdBy { email } } }', { token, variables: { id: vmId } });
    await fixture.query('query Owner($id: ID!) { vm(id: $id) { name createdBy { email } } }', { token, variables: { id: vmId } });
    await fixture.query('{ vm(id: "nothing") { name } }');
    await fixture.query('query Stranger { vm(id: "nothing") { name } }');
    const counts = await lines('novacron_graphql_operation_duration_seconds_count');
    expect(counts).toContain('novacron_graphql_operation_duration_seconds_count{operation="Owner",type="query",outcome="ok"} 2');
    expect(counts.join('\n')).toMatch(/operation="anonymous"/);
    expect(counts.join('\n')).toMatch(/operation="other"/);
    expect(counts.join('\n')).not.toMatch(/Stranger/);
    expect(await lines('novacron_subgraph_fetch_duration_seconds_count{subgraph="identity"}')).toEqual(['novacron_subgraph_fetch_duration_seconds_count{subgraph="identity"} 2']);
    expect(await lines('novacron_query_plans_total')).toContain('novacron_query_plans_total{cache="hit"} 1');
    expect(await lines('novacron_graphql_operations_in_flight')).toEqual(['novacron_graphql_operations_in_flight 0']);
  });

  it('tell how the process does', async () => {
    expect(await lines('nodejs_eventloop_lag_p99_seconds')).toHaveLength(1);
    expect(await lines('process_resident_memory_bytes')).toHaveLength(1);
  });
});

describe('an operation that was slow', () => {
  it('is logged with its plan and its times, and without what was sent', async () => {
    const query = 'query Slow($id: ID!) { vm(id: $id) { name createdBy { email } } other: vm(id: "a literal") { name } }';
    await fixture.query(query, { token, variables: { id: vmId }, headers: { 'user-agent': 'hurts', 'x-request-id': 'slow-one' } });
    const line = fixture.lines.find(({ msg, requestId }) => msg === 'slow operation' && requestId === 'slow-one');
    expect(line).toMatchObject({ operation: 'Slow', type: 'query', hash: expect.stringMatching(/^[0-9a-f]{64}$/), subgraphs: { vms: { fetches: 1 }, identity: { fetches: 1 } } });
    expect(line?.['durationMs']).toBeGreaterThanOrEqual(40);
    expect(line?.['plan']).toMatch(/^QueryPlan \{\s+Sequence \{\s+Fetch\(service: "vms"\)[\s\S]*Flatten\(path: "vm.createdBy"\)[\s\S]*Fetch\(service: "identity"\)/);
    expect(JSON.stringify(line)).not.toMatch(new RegExp(`a literal|${vmId}`));
  });

  it('is the same operation whatever its literals', async () => {
    const hashes = async (literal: string) => {
      await fixture.query(`query Literal { vm(id: "${vmId}") { createdBy { email } } other: vm(id: "${literal}") { name } }`, { token, headers: { 'user-agent': 'hurts', 'x-request-id': literal } });
      return fixture.lines.find(({ requestId }) => requestId === literal)?.['hash'];
    };
    expect(await hashes('one')).toBe(await hashes('another'));
  });

  it('is not logged when it was not', async () => {
    const before = fixture.lines.length;
    await fixture.query('{ __typename }');
    expect(fixture.lines.slice(before).filter(({ msg }) => msg === 'slow operation')).toEqual([]);
  });
});
