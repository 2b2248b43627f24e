import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { eventually } from '@novacron/testkit';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MESSAGE_TYPE } from '../src/frame.ts';
import type { CallNotice, Connection } from '../src/index.ts';
import { CALL_CHANNEL, connect, ConnectionLost, DeadlineExceeded, InvalidRequest, LibvirtError } from '../src/index.ts';
import { LIMIT } from '../src/limits.ts';
import { PROCEDURES } from '../src/procedures.ts';
import type { FakeDaemon } from './fake-daemon.ts';
import { answering, failure, frame, holding } from './fake-daemon.ts';

const { connectGetHostname } = PROCEDURES;

describe('calls', () => {
  it('are answered in any order', async () => {
    const { daemon, held } = await holding(connectGetHostname);
    const connection = await daemon.connect();
    const calls = [connection.hostname(), connection.hostname()];
    await eventually('two calls at once', () => held.length === 2);
    for (const [index, received] of [...held.entries()].toReversed()) {
      daemon.client.reply(received, connectGetHostname, { hostname: `h${index}` });
    }
    expect(await Promise.all(calls)).toEqual(['h0', 'h1']);
  });

  it('wait in order beyond maxInFlight', async () => {
    const { daemon, held } = await holding(connectGetHostname);
    const connection = await daemon.connect({ maxInFlight: 2 });
    const calls = Array.from({ length: 5 }, () => connection.hostname());
    for (let answered = 0; answered < 5; answered++) {
      const expected = Math.min(5, answered + 2);
      await eventually(`${expected} calls sent`, () => held.length === expected);
      daemon.client.reply(held[answered]!, connectGetHostname, { hostname: `h${answered}` }); // just waited for
    }
    expect(await Promise.all(calls)).toEqual(['h0', 'h1', 'h2', 'h3', 'h4']);
    expect(held.map(({ header }) => header.serial)).toEqual([3, 4, 5, 6, 7]);
  });

  it('reject with the daemon’s error, typed', async () => {
    const { daemon, held } = await holding(connectGetHostname);
    const connection = await daemon.connect();
    const call = failure(connection.hostname());
    await eventually('the call', () => held.length === 1);
    daemon.client.refuse(held[0]!, 55, 'domain is not running'); // just waited for
    const error = await call;
    expect(error).toBeInstanceOf(LibvirtError);
    expect(error).toMatchObject({ code: 55, domain: 10, level: 2, procedure: 'CONNECT_GET_HOSTNAME', message: 'domain is not running' });
    expect((error as LibvirtError).is('OPERATION_INVALID')).toBe(true); // an instance, as just seen
    expect((error as Error).stack).toContain('Connection.hostname'); // the caller, not the socket
  });

  it('are told of where they are made, with what comes of them', async () => {
    const { daemon, held } = await holding(connectGetHostname);
    const connection = await daemon.connect();
    const caller = new AsyncLocalStorage<string>();
    const told: [unknown, string | undefined, CallNotice][] = [];
    const listen = (notice: unknown) => void told.push([caller.getStore(), (notice as CallNotice).procedure, notice as CallNotice]); // as documented
    subscribe(CALL_CHANNEL, listen);
    onTestFinished(() => void unsubscribe(CALL_CHANNEL, listen));
    const calls = caller.run('mine', () => [connection.hostname(), failure(connection.hostname())]);
    await eventually('both calls', () => held.length === 2);
    daemon.client.reply(held[0]!, connectGetHostname, { hostname: 'h' }); // just waited for
    daemon.client.refuse(held[1]!, 55, 'no');
    await Promise.all(calls);
    expect(told.map(([where, procedure]) => [where, procedure])).toEqual([['mine', 'CONNECT_GET_HOSTNAME'], ['mine', 'CONNECT_GET_HOSTNAME']]);
    await expect(told[0]?.[2].outcome).resolves.toEqual({ hostname: 'h' });
    await expect(told[1]?.[2].outcome).rejects.toMatchObject({ code: 55 });
  });

  it('hold their slot beyond their deadline, until the late answer is dropped', async () => {
    const { daemon, held } = await holding(connectGetHostname);
    const connection = await daemon.connect({ maxInFlight: 1 });
    const late = await failure(connection.hostname({ deadlineMs: 20 }));
    expect(late).toBeInstanceOf(DeadlineExceeded);
    expect(late).toMatchObject({ sent: true, deadlineMs: 20, procedure: 'CONNECT_GET_HOSTNAME' });

    const neverSent = await failure(connection.hostname({ deadlineMs: 20 }));
    expect(neverSent).toMatchObject({ kind: 'deadline', sent: false });

    const next = connection.hostname();
    daemon.client.reply(held[0]!, connectGetHostname, { hostname: 'late' }); // the first call was sent
    await eventually('the next call', () => held.length === 2);
    daemon.client.reply(held[1]!, connectGetHostname, { hostname: 'next' }); // just waited for
    expect(await next).toBe('next');
    expect(held).toHaveLength(2); // the one that waited in vain was never sent
  });

  it('that cannot be written harm nothing', async () => {
    const daemon = await answering(connectGetHostname, { hostname: 'h' });
    const connection = await daemon.connect();
    expect(await failure(connection.domains.define('x'.repeat(LIMIT.stringBytes + 1)))).toBeInstanceOf(InvalidRequest);
    expect(await failure(connection.domains.lookupByUuid('nonsense'))).toBeInstanceOf(InvalidRequest);
    expect(await connection.hostname()).toBe('h');
  });

  it('survive answers in pieces of any size, up to the longest string', async () => {
    const { daemon, held } = await holding(PROCEDURES.connectGetCapabilities);
    const connection = await daemon.connect();
    const capabilities = connection.capabilities();
    await eventually('the call', () => held.length === 1);
    const xml = 'x'.repeat(LIMIT.stringBytes);
    const bytes = frame({ ...held[0]!.header, type: MESSAGE_TYPE.REPLY }, (w) => w.string(xml, LIMIT.stringBytes)); // just waited for
    for (let start = 0; start < 64; start++) daemon.client.send(bytes.subarray(start, start + 1));
    daemon.client.send(bytes.subarray(64));
    expect(await capabilities === xml).toBe(true);
  });
});

describe('the end of a connection', () => {
  const endings: [string, (daemon: FakeDaemon, connection: Connection) => unknown, string][] = [
    ['by the daemon', (daemon) => daemon.client.socket.end(), 'ended'],
    ['by the daemon, hard', (daemon) => daemon.client.socket.destroy(), 'ended'],
    ['in the middle of a message', (daemon) => daemon.client.socket.end(Buffer.from([0, 0, 1, 0, 0x20])), 'ended'],
    ['by us', (_daemon, connection) => connection.close(), 'closed'],
    ['by nonsense', (daemon) => daemon.client.send(Buffer.alloc(64)), 'protocol'],
  ];

  it.each(endings)('%s is told to everyone', async (_name, end, kind) => {
    const { daemon, held } = await holding(connectGetHostname);
    const connection = await daemon.connect({ maxInFlight: 1 });
    const [sent, waiting] = [failure(connection.hostname()), failure(connection.hostname())];
    await eventually('the first call', () => held.length === 1);
    await end(daemon, connection);
    expect(await connection.closed).toMatchObject({ kind });
    for (const error of [await sent, await waiting]) expect(error).toBeInstanceOf(ConnectionLost);
    expect(await sent).toMatchObject({ sent: true, reason: { kind } });
    expect(await waiting).toMatchObject({ sent: false, reason: { kind } });
    expect(await failure(connection.hostname())).toMatchObject({ kind: 'connection-lost', sent: false, reason: { kind } });
    await connection.close(); // again, and after the end: no matter
  });

  it('close() does not wait for ever for a daemon that says nothing', async () => {
    const { daemon } = await holding(PROCEDURES.connectClose);
    const connection = await daemon.connect();
    await connection.close();
    expect(daemon.client.calls(PROCEDURES.connectClose)).toHaveLength(1);
  });

  it('has no listener who is not told why nothing was ever there', async () => {
    const error = await failure(connect({ uri: 'test:///default', socketPath: '/nonexistent/libvirt-sock' }));
    expect(error).toMatchObject({ kind: 'connection-lost', sent: false, reason: { kind: 'socket' } });
  });
});
