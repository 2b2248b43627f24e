import { writeFile } from 'node:fs/promises';
import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { watchers } from './watchers.ts';

/** Another supergraph comes while clients are subscribed: they stay. */

let fixture: Fixture;
let token: string;
const { change, closeAll, connect, subscribed } = watchers(() => fixture);

beforeAll(async () => {
  fixture = await startGateway();
  token = fixture.authority.signIn([['operator', fixture.tenant]]).token;
});
afterAll(() => fixture?.close());
afterEach(closeAll);

/** Writes another supergraph where the gateway looks for it: without Vm.createdBy, or with. */
const write = (hasCreator: boolean) => writeFile(fixture.options.supergraphFile, hasCreator ? fixture.supergraphSdl : fixture.supergraphSdl.replace(/^ {2}"""Who made it\."""\n {2}createdBy: .*\n/m, ''));
const isKnown = async (): Promise<boolean> => (await fixture.query('query ($id: ID = "x") { vm(id: $id) { createdBy { id } } }', { token })).errors.length === 0;

describe('subscribers of a gateway that loads another supergraph', () => {
  it('hear what happens next on the same socket, read by the new one', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'db' });
    const client = await connect(token);
    const received = await subscribed(() => client.subscribe('subscription ($ids: [ID!]) { vmChanged(ids: $ids) { vm { name tags } } }', { ids: [vm.id] }));
    change(vm, {});
    await received.until(1);
    await write(false);
    await eventually('a field to be gone', async () => !(await isKnown()));
    change(vm, { tags: ['new'] });
    expect((await received.until(2))[1]?.data).toEqual({ vmChanged: { vm: { name: 'db', tags: ['new'] } } });
    expect(client.closed).toBeNull();
    await write(true);
    await eventually('it to be back', isKnown);
  });

  it('are told so when what they subscribe to is not there any more', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'db' });
    const client = await connect(token);
    const gone = await subscribed(() => client.subscribe('subscription ($ids: [ID!]) { vmChanged(ids: $ids) { vm { createdBy { email } } } }', { ids: [vm.id] }));
    const stays = await subscribed(() => client.subscribe('subscription ($ids: [ID!]) { vmChanged(ids: $ids) { vm { name } } }', { ids: [vm.id] }));
    await write(false);
    expect(await gone.code()).toBe('GRAPHQL_VALIDATION_FAILED');
    change(vm, {});
    await stays.until(1);
    expect(client.closed).toBeNull();
  });
});
