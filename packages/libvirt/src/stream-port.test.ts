import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionLost, DeadlineExceeded, ProtocolError } from './errors.ts';
import { MESSAGE_STATUS } from './frame.ts';
import { LIMIT } from './limits.ts';
import type { StreamUse } from './stream-port.ts';
import { StreamPort } from './stream-port.ts';

/** More than a stream keeps for a reader that is behind. */
const MUCH = Buffer.alloc(512 * 1024);

/** A wire that notes what happens to it; the socket takes a packet when the test says so, or at once. */
function wire(use?: StreamUse, taken?: (onSent: () => void) => void) {
  const log: string[] = [];
  const send = (status: number, data: Uint8Array, onSent?: () => void) => {
    log.push(`send ${status} ${data.length}`);
    if (onSent) (taken ?? setImmediate)(onSent);
  };
  const port = new StreamPort('DOMAIN_OPEN_CONSOLE', {
    send,
    sendHole: (length) => log.push(`hole ${length}`),
    pause: () => log.push('pause'),
    resume: () => log.push('resume'),
  }, use);
  const errors: unknown[] = [];
  port.duplex.on('error', (error) => errors.push(error));
  return { port, log, errors };
}

describe('a stream whose reader does not read', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => vi.useRealTimers());

  it('stops the socket, and goes on as soon as it is read', () => {
    const { port, log } = wire();
    port.receive(MUCH);
    expect(log).toEqual(['pause']);
    port.duplex.read();
    expect(log).toEqual(['pause', 'resume']);
    vi.advanceTimersByTime(60_000);
    expect(port.duplex.destroyed).toBe(false);
  });

  it('is aborted after 15 s, for the sake of the connection', async () => {
    const { port, log, errors } = wire();
    port.receive(MUCH);
    vi.advanceTimersByTime(14_999);
    expect(port.duplex.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(port.duplex.destroyed).toBe(true);
    expect(log).toEqual(['pause', 'resume', `send ${MESSAGE_STATUS.ERROR} 0`]);
    await vi.waitFor(() => expect(errors).toEqual([expect.any(DeadlineExceeded)]));
  });
});

const UPLOAD = { direction: 'upload', sparse: false } as const;
const DOWNLOAD = { direction: 'download', sparse: false } as const;
const finish = `send ${MESSAGE_STATUS.OK} 0`;
const outcome = (promise: Promise<unknown>) => promise.then(() => 'resolved', (error: unknown) => error);

describe('an upload', () => {
  it('is done when the daemon has confirmed it', async () => {
    const { port, log } = wire(UPLOAD);
    const closed = once(port.duplex, 'close');
    let isDone = false;
    const done = pipeline(Readable.from([Buffer.alloc(10)]), port.duplex).then(() => (isDone = true));
    await vi.waitFor(() => expect(log).toEqual([`send ${MESSAGE_STATUS.CONTINUE} 10`, finish]));
    port.receive(Buffer.alloc(0)); // the daemon's hangup says nothing
    expect(isDone).toBe(false);
    port.confirm();
    await done;
    await closed;
  });

  it('has one packet on its way at a time', async () => {
    const waiting: (() => void)[] = [];
    const { port, log } = wire(UPLOAD, (onSent) => waiting.push(onSent));
    port.duplex.write(Buffer.alloc(3 * LIMIT.streamPacketBytes));
    expect(log).toHaveLength(1);
    waiting.shift()?.();
    expect(log).toHaveLength(2);
    port.duplex.destroy();
    waiting.shift()?.();
    expect(log.at(-1)).toBe(`send ${MESSAGE_STATUS.ERROR} 0`);
  });

  it.each([
    ['before the end', (port: StreamPort) => port.fail(new Error('full')), 'full'],
    ['by an early confirmation', (port: StreamPort) => port.confirm(), expect.stringContaining('before we ended it')],
    ['by our own close()', (port: StreamPort) => port.lose({ kind: 'closed', message: 'closed' }), expect.stringContaining('closed')],
  ])('that fails %s does not look finished when it is ended at that moment', async (_name, fail, message) => {
    const { port } = wire(UPLOAD);
    const source = new Readable({ read: () => undefined });
    const done = outcome(pipeline(source, port.duplex));
    source.push(Buffer.alloc(10));
    await vi.waitFor(() => expect(port.duplex.writableLength).toBe(0));
    fail(port);
    source.push(null);
    expect(await done).toMatchObject({ message });
  });

  it('that fails instead of being confirmed rejects', async () => {
    const { port, log } = wire(UPLOAD);
    const done = outcome(pipeline(Readable.from([Buffer.alloc(10)]), port.duplex));
    await vi.waitFor(() => expect(log.at(-1)).toBe(finish));
    port.lose({ kind: 'ended', message: 'gone' });
    expect(await done).toBeInstanceOf(ConnectionLost);
  });

  it('that is sparse sends zeros as holes, across chunks', async () => {
    const { port, log } = wire({ direction: 'upload', sparse: true });
    const one = Buffer.alloc(4096, 1);
    const chunks = [Buffer.concat([one, Buffer.alloc(8192)]), Buffer.alloc(100_000), one, Buffer.alloc(1)];
    const done = pipeline(Readable.from(chunks), port.duplex);
    await vi.waitFor(() => expect(log.at(-1)).toBe(finish));
    port.confirm();
    await done;
    const data = `send ${MESSAGE_STATUS.CONTINUE} 4096`;
    expect(log).toEqual([data, 'hole 108192', data, 'hole 1', finish]);
  });
});

describe('a download', () => {
  it('ends when the daemon has confirmed that this was all', async () => {
    const { port, log } = wire(DOWNLOAD);
    let content: Buffer | undefined;
    const done = buffer(port.duplex).then((all) => (content = all));
    port.receive(Buffer.from('abc'));
    port.receive(Buffer.alloc(0));
    await vi.waitFor(() => expect(log).toEqual([finish]));
    expect(content).toBeUndefined();
    port.confirm();
    expect(await done).toEqual(Buffer.from('abc'));
  });

  it('reads a hole as zeros, no faster than its reader, and what comes after it in order', async () => {
    const { port, log } = wire({ direction: 'download', sparse: true });
    port.receive(Buffer.from('a'));
    port.receiveHole(5_000_000);
    port.receive(Buffer.from('b'));
    port.receive(Buffer.alloc(0));
    port.confirm();
    expect(port.duplex.readableLength).toBeLessThan(1_000_000);
    expect(log[0]).toBe('pause');
    const content = await buffer(port.duplex);
    expect(content.equals(Buffer.concat([Buffer.from('a'), Buffer.alloc(5_000_000), Buffer.from('b')]))).toBe(true);
  });

  it.each([
    ['in one that is not sparse', DOWNLOAD, 1],
    ['in an upload', { direction: 'upload', sparse: true } as const, 1],
    ['of less than nothing', { direction: 'download', sparse: true } as const, -1],
  ])('refuses a hole %s', (_name, use, length) => {
    expect(() => wire(use).port.receiveHole(length)).toThrow(ProtocolError);
  });
});
