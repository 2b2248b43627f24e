import { eventually } from '@novacron/testkit';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DOMAIN_EVENTS } from '../src/domain-event.ts';
import { MESSAGE_TYPE } from '../src/frame.ts';
import { DeadlineExceeded } from '../src/index.ts';
import { PROCEDURES } from '../src/procedures.ts';
import { domain } from '../src/structures.ts';
import { answering, argsOf, failure, FakeDaemon, frame, holding } from './fake-daemon.ts';

const { connectGetVersion, domainEventRegister, domainEventDeregister } = PROCEDURES;
const DOMAIN = { name: 'a', uuid: '6695eb01-f6a4-8304-79aa-97f2502e193f', id: 1 };

describe('events', () => {
  const eventFrame = (callbackId: number, eventCode: number, detail: number) =>
    frame({ type: MESSAGE_TYPE.MESSAGE, procedure: DOMAIN_EVENTS.lifecycle.message, serial: 1 }, (w) => {
      w.int(callbackId);
      domain.write(w, DOMAIN);
      w.int(eventCode);
      w.int(detail);
    });

  it('reach every listener; the daemon is asked once, and told when the last has gone', async () => {
    const daemon = await FakeDaemon.start();
    const connection = await daemon.connect();
    const seen: string[] = [];
    const [first, second] = await Promise.all([
      connection.onDomainEvent('lifecycle', ({ event, detail }) => seen.push(`1 ${event} ${detail}`)),
      connection.onDomainEvent('lifecycle', ({ event, detail }) => seen.push(`2 ${event} ${detail}`)),
    ]);
    expect(daemon.client.calls(domainEventRegister)).toHaveLength(1);
    daemon.client.send(Buffer.concat([eventFrame(7, 5, 2), eventFrame(7, 99, 0), eventFrame(6, 5, 2)]));
    await eventually('both events, and not that of another callback', () => seen.length === 4);
    expect(seen).toEqual(['1 stopped crashed', '2 stopped crashed', '1 unknown unknown', '2 unknown unknown']);

    await first.close();
    await first.close();
    expect(daemon.client.calls(domainEventDeregister)).toHaveLength(0);
    await second.close();
    const [deregister] = daemon.client.calls(domainEventDeregister);
    expect(deregister && argsOf(domainEventDeregister, deregister)).toEqual({ callbackId: 7 });
  });

  it('that overtake the answer to their registration are not lost', async () => {
    const daemon = await FakeDaemon.start((received, client) => {
      if (received.header.procedure !== domainEventRegister.number) return false;
      client.send(eventFrame(7, 2, 0));
      client.reply(received, domainEventRegister, { callbackId: 7 });
      return true;
    });
    const connection = await daemon.connect();
    const seen: string[] = [];
    await connection.onDomainEvent('lifecycle', (e) => seen.push(e.event));
    expect(seen).toEqual(['started']);
  });

  it('whose registration came too late are given back', async () => {
    const { daemon, held } = await holding(domainEventRegister);
    const connection = await daemon.connect({ defaultDeadlineMs: 50 });
    expect(await failure(connection.onDomainEvent('reboot', () => undefined))).toBeInstanceOf(DeadlineExceeded);
    daemon.client.reply(held[0]!, domainEventRegister, { callbackId: 3 }); // it was sent
    await eventually('its deregistration', () => daemon.client.calls(domainEventDeregister).length === 1);
  });

  it('do not harm the connection when a listener throws', async () => {
    const daemon = await answering(connectGetVersion, { version: 9_000_001 });
    const uncaught: unknown[] = [];
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error));
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    });
    const connection = await daemon.connect();
    await connection.onDomainEvent('lifecycle', () => {
      throw new Error('listener');
    });
    daemon.client.send(eventFrame(7, 2, 0));
    await eventually('the uncaught exception', () => uncaught.length === 1);
    expect(await connection.version()).toEqual({ major: 9, minor: 0, release: 1 });
  });
});
