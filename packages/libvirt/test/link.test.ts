import { eventually } from '@novacron/testkit';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DOMAIN_EVENTS } from '../src/domain-event.ts';
import { MESSAGE_TYPE } from '../src/frame.ts';
import { ConnectionLost, DeadlineExceeded, InvalidRequest, openLink, Unsupported } from '../src/index.ts';
import type { Link, LinkOptions, LinkStatus } from '../src/index.ts';
import { PROCEDURES } from '../src/procedures.ts';
import { domain } from '../src/structures.ts';
import { failure, FakeDaemon, frame } from './fake-daemon.ts';

const DOMAIN = { name: 'a', uuid: '6695eb01-f6a4-8304-79aa-97f2502e193f', id: 1 };

function link(daemon: FakeDaemon, options: Partial<LinkOptions> = {}): { opened: Link; statuses: LinkStatus[] } {
  const statuses: LinkStatus[] = [];
  const opened = openLink({
    uri: 'test:///default',
    socketPath: daemon.socketPath,
    backoff: { initialMs: 5, maxMs: 20 },
    onStatus: (status) => statuses.push(status),
    ...options,
  });
  onTestFinished(() => opened.close());
  return { opened, statuses };
}

const rebootOf = () =>
  frame({ type: MESSAGE_TYPE.MESSAGE, procedure: DOMAIN_EVENTS.reboot.message, serial: 1 }, (w) => {
    w.int(7);
    domain.write(w, DOMAIN);
  });

describe('a link', () => {
  it('comes back, with its listeners, and says so', async () => {
    const daemon = await FakeDaemon.start();
    const reboots: string[] = [];
    const { opened, statuses } = link(daemon, { listeners: { reboot: (event) => reboots.push(event.domain.name) } });
    const first = await opened.connection();
    daemon.client.send(rebootOf());
    await eventually('an event', () => reboots.length === 1);

    await daemon.stop();
    await eventually('an attempt in vain', () => statuses.some(({ state }) => state === 'retrying'));
    await daemon.listen();
    const second = await opened.connection();
    expect(second).not.toBe(first);
    expect(daemon.client.calls(PROCEDURES.domainEventRegister)).toHaveLength(1);
    daemon.client.send(rebootOf());
    await eventually('an event again', () => reboots.length === 2);

    await opened.close();
    const states = statuses.map(({ state }) => state);
    expect(states.filter((state) => state === 'connected' || state === 'lost' || state === 'closed')).toEqual([
      'connected', 'lost', 'connected', 'lost', 'closed',
    ]);
    expect(statuses.find(({ state }) => state === 'lost')).toMatchObject({ reason: { kind: 'ended' } });
    expect(opened.status).toEqual({ state: 'closed' });
    expect(await failure(opened.connection())).toBeInstanceOf(ConnectionLost);
  });

  it('is not connected before its listeners are registered', async () => {
    const daemon = await FakeDaemon.start((received, client) => {
      if (received.header.procedure !== PROCEDURES.domainEventRegister.number) return false;
      client.refuse(received, 3, 'no events here');
      return true;
    });
    const { opened, statuses } = link(daemon, { listeners: { lifecycle: () => undefined } });
    await eventually('two attempts', () => daemon.clients.length >= 2);
    expect(statuses.filter(({ state }) => state === 'connected')).toEqual([]);
    expect(statuses.find(({ state }) => state === 'retrying')).toMatchObject({ attempt: 1, error: { code: 3 } });
    expect(await failure(opened.connection({ deadlineMs: 10 }))).toBeInstanceOf(DeadlineExceeded);
  });

  it('closes while it waits, and while it connects', async () => {
    const daemon = await FakeDaemon.start(() => true); // says nothing, ever
    const { opened, statuses } = link(daemon);
    const waiting = failure(opened.connection());
    await eventually('an attempt', () => daemon.clients.length === 1);
    await opened.close();
    expect(await waiting).toBeInstanceOf(ConnectionLost);
    expect(statuses.map(({ state }) => state)).toEqual(['connecting', 'closed']);

    await daemon.stop();
    const other = link(daemon, { backoff: { initialMs: 60_000, maxMs: 60_000 } });
    await eventually('an attempt in vain', () => other.opened.status.state === 'retrying');
    await other.opened.close();
    expect(other.opened.status).toEqual({ state: 'closed' });
  });

  it('backs off further with every attempt, up to its limit', async () => {
    const daemon = await FakeDaemon.start();
    await daemon.stop();
    const { statuses } = link(daemon, { backoff: { initialMs: 4, maxMs: 10 } });
    const delays = () => statuses.flatMap((status) => (status.state === 'retrying' ? [status.delayMs] : []));
    await eventually('four attempts', () => delays().length >= 4);
    const [first, second, third, fourth] = delays();
    for (const [delay, most] of [[first, 4], [second, 8], [third, 10], [fourth, 10]] as const) {
      expect(delay).toBeGreaterThanOrEqual(most / 2);
      expect(delay).toBeLessThanOrEqual(most);
    }
  });

  it('refuses at once what can never work', () => {
    expect(() => openLink({ uri: 'nonsense' })).toThrow(InvalidRequest);
    expect(() => openLink({ uri: 'qemu+ext://host/system' })).toThrow(Unsupported);
    expect(() => openLink({ uri: 'qemu+tls://host/system', socketPath: '/x' })).toThrow(InvalidRequest);
  });
});
