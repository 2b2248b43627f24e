import type { NewEvent, VmFacts } from '@novacron/contracts';
import { eventually } from '@novacron/testkit';
import type { ClientOptions } from 'ws';
import type { Fixture } from './gateway-fixture.ts';
import type { VmRow } from './small-graph.ts';
import { SocketClient, type Received } from './socket-client.ts';

/** Subscribes to VMs' names. */
export const NAMES = 'subscription ($ids: [ID!], $after: String, $filter: VmFilter) { vmChanged(ids: $ids, after: $after, filter: $filter) { cursor vm { name } } }';

/** The names that came, in order. */
export const names = (received: Received): string[] =>
  received.payloads.map(({ data }) => (data as { vmChanged: { vm: { name: string } } }).vmChanged.vm.name);

const facts = ({ name, state, desiredState, generation, hostId, tags }: VmRow): VmFacts => ({ name, state, desiredState, generation, hostId, tags });

/** Clients of one gateway, closed together after each test. */
export function watchers(fixture: () => Fixture) {
  const clients: SocketClient[] = [];
  const active = () => fixture().metric('novacron_subscriptions_active');
  return {
    /** How many subscriptions the gateway runs: one that was asked for is live when this says so. */
    active,
    async connect(token?: string, options?: ClientOptions): Promise<SocketClient> {
      const client = await SocketClient.connect(fixture().gateway.url, token, options);
      clients.push(client);
      return client;
    },
    /** Subscribes, and waits until the gateway has taken it up or refused it. */
    async subscribed(subscribe: () => Received): Promise<Received> {
      const before = await active();
      const received = subscribe();
      await eventually('the subscription to be live', async () => (await active()) > before || received.error !== null);
      return received;
    },
    /** Commits a change of a VM, as its service would. Returns its position. */
    change(vm: VmRow, changes: Partial<VmFacts>): number {
      const before = facts(vm);
      Object.assign(vm, changes, { generation: vm.generation + 1 });
      const event: NewEvent = { type: 'vm.changed', tenantId: vm.tenantId, entityId: vm.id, before, after: facts(vm) };
      return fixture().log.append(event).position;
    },
    async closeAll(): Promise<void> {
      await Promise.all(clients.splice(0).map((client) => client.close()));
    },
  };
}
