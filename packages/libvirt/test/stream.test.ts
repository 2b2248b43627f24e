import { once } from 'node:events';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { eventually } from '@novacron/testkit';
import { describe, expect, it } from 'vitest';
import { MESSAGE_STATUS, MESSAGE_TYPE } from '../src/frame.ts';
import type { Connection } from '../src/index.ts';
import { ConnectionLost, DeadlineExceeded, LibvirtError } from '../src/index.ts';
import { LIMIT } from '../src/limits.ts';
import { PROCEDURES } from '../src/procedures.ts';
import type { FakeClient, Received } from './fake-daemon.ts';
import { failure, FakeDaemon, holding } from './fake-daemon.ts';

const DOMAIN = { name: 'a', uuid: '6695eb01-f6a4-8304-79aa-97f2502e193f', id: 1 };
const { domainOpenConsole, connectGetHostname, volumeUpload } = PROCEDURES;

/** A daemon with a console; it confirms finish and abort as libvirtd does. */
async function withConsole(): Promise<{ daemon: FakeDaemon; connection: Connection; opened: () => Received }> {
  const daemon = await FakeDaemon.start((received, client) => {
    const { type, status, procedure } = received.header;
    if (procedure === connectGetHostname.number) client.reply(received, connectGetHostname, { hostname: 'h' });
    else if (procedure !== domainOpenConsole.number) return false;
    else if (type === MESSAGE_TYPE.CALL) client.reply(received, domainOpenConsole, undefined);
    else if (status !== MESSAGE_STATUS.CONTINUE) client.stream(received, MESSAGE_STATUS.OK);
    return true;
  });
  const connection = await daemon.connect();
  const opened = () => daemon.client.calls(domainOpenConsole)[0]!; // each test opens it first
  return { daemon, connection, opened };
}

/** A daemon whose console comes with more, all in one write. */
const consoleThatSays = (more: (received: Received, client: FakeClient) => void): Promise<FakeDaemon> =>
  FakeDaemon.start((received, client) => {
    if (received.header.procedure !== domainOpenConsole.number) return false;
    if (received.header.type !== MESSAGE_TYPE.CALL) return true;
    client.socket.cork();
    client.reply(received, domainOpenConsole, undefined);
    more(received, client);
    client.socket.uncork();
    return true;
  });

const packets = (daemon: FakeDaemon) =>
  daemon.client.received.filter(({ header }) => header.type === MESSAGE_TYPE.STREAM);

describe('a stream', () => {
  it('carries both directions and ends on the daemon’s word', async () => {
    const { daemon, connection, opened } = await withConsole();
    const console = await connection.domains.openConsole(DOMAIN);
    console.write('halt\n');
    await eventually('what was typed', () => packets(daemon).length === 1);
    expect(packets(daemon)[0]).toMatchObject({
      header: { serial: opened().header.serial, status: MESSAGE_STATUS.CONTINUE },
      payload: Buffer.from('halt\n'),
    });
    for (const word of ['good', 'bye', '']) daemon.client.stream(opened(), MESSAGE_STATUS.CONTINUE, Buffer.from(word));
    let said = '';
    console.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await once(console, 'close');
    expect(said).toBe('goodbye');
    expect(packets(daemon).at(-1)?.header.status).toBe(MESSAGE_STATUS.OK); // our finish
  });

  it('has its first data even when they come with the answer', async () => {
    const daemon = await consoleThatSays((received, client) => {
      client.stream(received, MESSAGE_STATUS.CONTINUE, Buffer.from('login: '));
      client.stream(received, MESSAGE_STATUS.CONTINUE);
    });
    const connection = await daemon.connect();
    expect(await text(await connection.domains.openConsole(DOMAIN))).toBe('login: ');
  });

  it('has its first data even when they come before the answer', async () => {
    const daemon = await FakeDaemon.start((received, client) => {
      if (received.header.procedure !== domainOpenConsole.number) return false;
      if (received.header.type !== MESSAGE_TYPE.CALL) return true;
      client.stream(received, MESSAGE_STATUS.CONTINUE, Buffer.from('log'));
      client.stream(received, MESSAGE_STATUS.CONTINUE, Buffer.from('in: '));
      client.stream(received, MESSAGE_STATUS.CONTINUE);
      client.reply(received, domainOpenConsole, undefined);
      return true;
    });
    const connection = await daemon.connect();
    expect(await text(await connection.domains.openConsole(DOMAIN))).toBe('login: ');
  });

  it('tells whoever opened it even when the connection ends with the answer', async () => {
    const daemon = await consoleThatSays((_received, client) => client.send(Buffer.alloc(28)));
    const connection = await daemon.connect();
    const console = await connection.domains.openConsole(DOMAIN);
    expect(await failure(text(console))).toBeInstanceOf(ConnectionLost);
  });

  it('is finished by end(), after everything written has been sent', async () => {
    const { daemon, connection } = await withConsole();
    const console = await connection.domains.openConsole(DOMAIN);
    console.resume().end(Buffer.alloc(LIMIT.streamPacketBytes * 2 + 1, 'x'));
    await once(console, 'close');
    expect(packets(daemon).map(({ header, payload }) => [header.status, payload.length])).toEqual([
      [MESSAGE_STATUS.CONTINUE, LIMIT.streamPacketBytes],
      [MESSAGE_STATUS.CONTINUE, LIMIT.streamPacketBytes],
      [MESSAGE_STATUS.CONTINUE, 1],
      [MESSAGE_STATUS.OK, 0],
    ]);
  });

  it('is aborted by destroy(); what still comes is dropped', async () => {
    const { daemon, connection, opened } = await withConsole();
    const console = await connection.domains.openConsole(DOMAIN);
    console.destroy();
    await eventually('the abort', () => packets(daemon).length === 1);
    expect(packets(daemon)[0]?.header.status).toBe(MESSAGE_STATUS.ERROR);
    daemon.client.stream(opened(), MESSAGE_STATUS.CONTINUE, Buffer.from('late'));
    expect(await connection.hostname()).toBe('h');
  });

  it('fails with the daemon’s error', async () => {
    const { daemon, connection, opened } = await withConsole();
    const console = await connection.domains.openConsole(DOMAIN);
    const [error] = await Promise.all([
      failure(text(console)),
      daemon.client.refuse({ ...opened(), header: { ...opened().header, type: MESSAGE_TYPE.STREAM } }, 38, 'I/O error'),
    ]);
    expect(error).toBeInstanceOf(LibvirtError);
    expect(error).toMatchObject({ code: 38, message: 'I/O error' });
    expect(await connection.hostname()).toBe('h');
  });

  it('fails when the connection is lost', async () => {
    const { daemon, connection } = await withConsole();
    const console = await connection.domains.openConsole(DOMAIN);
    const lost = failure(text(console));
    daemon.client.socket.destroy();
    expect(await lost).toBeInstanceOf(ConnectionLost);
  });

  it('stops the socket while its reader is behind, and loses nothing', async () => {
    const { daemon, connection, opened } = await withConsole();
    const console = await connection.domains.openConsole(DOMAIN);
    const packet = Buffer.alloc(LIMIT.streamPacketBytes, 'x');
    const count = 40; // 10 MiB: more than the stream and the socket keep
    for (let i = 0; i < count; i++) daemon.client.stream(opened(), MESSAGE_STATUS.CONTINUE, packet);
    const hostname = connection.hostname();
    await eventually('a full socket', () => console.readableLength >= 256 * 1024 && daemon.client.socket.writableLength > 0);
    expect(console.readableLength).toBeLessThan(2 * 1024 * 1024);
    daemon.client.stream(opened(), MESSAGE_STATUS.CONTINUE);
    let received = 0;
    for await (const chunk of console) received += (chunk as Buffer).length; // no encoding is set
    expect(received).toBe(count * packet.length);
    expect(await hostname).toBe('h');
  });

  it('that is an upload takes no more than the daemon does', async () => {
    const daemon = await FakeDaemon.start((received, client) => {
      const { type, status, procedure } = received.header;
      if (procedure !== volumeUpload.number) return false;
      if (type === MESSAGE_TYPE.CALL) {
        client.reply(received, volumeUpload, undefined);
        client.socket.pause();
      } else if (status === MESSAGE_STATUS.OK) client.stream(received, MESSAGE_STATUS.OK);
      return true;
    });
    const connection = await daemon.connect();
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    let taken = 0;
    const source = Readable.from((function* () {
      for (; taken < 200; taken++) yield chunk;
    })());
    const done = pipeline(source, await connection.volumes.upload({ pool: 'p', name: 'v', key: 'k' }));
    let before = -1;
    const standsStill = () => before === (before = taken);
    await eventually('a full socket', standsStill, { intervalMs: 200 });
    expect(taken).toBeLessThan(20); // the stream's, the socket's and the kernel's share of 200
    daemon.client.socket.resume();
    await done;
    expect(packets(daemon).reduce((sum, { payload }) => sum + payload.length, 0)).toBe(200 * chunk.length);
  });

  it('that opens too late is aborted', async () => {
    const { daemon, held } = await holding(domainOpenConsole);
    const connection = await daemon.connect();
    const late = await failure(connection.domains.openConsole(DOMAIN, {}, { deadlineMs: 20 }));
    expect(late).toBeInstanceOf(DeadlineExceeded);
    daemon.client.reply(held[0]!, domainOpenConsole, undefined); // it was sent
    await eventually('the abort', () => packets(daemon)[0]?.header.status === MESSAGE_STATUS.ERROR);
    expect(packets(daemon)).toHaveLength(1);
  });
});
