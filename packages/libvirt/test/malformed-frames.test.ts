import { eventually } from '@novacron/testkit';
import { describe, expect, it } from 'vitest';
import { HEADER_BYTES, MESSAGE_STATUS, MESSAGE_TYPE, PROGRAM } from '../src/frame.ts';
import { ProtocolError } from '../src/index.ts';
import { LIMIT } from '../src/limits.ts';
import { PROCEDURES } from '../src/procedures.ts';
import { failure, frame, holding } from './fake-daemon.ts';

const { connectGetHostname } = PROCEDURES;

describe('what a daemon must not send ends the connection with a ProtocolError', () => {
  const reply = (header: Parameters<typeof frame>[0], payload = 'h') =>
    frame({ procedure: connectGetHostname.number, serial: 3, ...header }, (w) => w.string(payload, 9));
  const withWord = (offset: number, value: number) => {
    const bytes = reply({});
    bytes.writeUInt32BE(value, offset);
    return bytes;
  };

  it.each<[string, Buffer]>([
    ['a length shorter than the header', withWord(0, HEADER_BYTES - 1)],
    ['a length of zero', withWord(0, 0)],
    ['a length over the limit', withWord(0, LIMIT.messageBytes + 1)],
    ['the greatest length', withWord(0, 0xffff_ffff)],
    ['an unknown program', withWord(4, 0x20008087)],
    ['an unknown version', withWord(8, 2)],
    ['the answer of another procedure', withWord(12, 4)],
    ['a call', withWord(16, MESSAGE_TYPE.CALL)],
    ['a message type with file descriptors', withWord(16, 5)],
    ['a hole in a stream', withWord(16, 6)],
    ['a serial that was never sent', withWord(20, 99)],
    ['a serial that was answered before', withWord(20, 1)],
    ['an unknown status', withWord(24, 3)],
    ['a string longer than its message', withWord(28, 100)],
    ['bytes left over', frame({ procedure: connectGetHostname.number, serial: 3 }, (w) => (w.string('h', 9), w.uint(0)))],
    ['an error cut short', frame({ procedure: connectGetHostname.number, serial: 3, status: MESSAGE_STATUS.ERROR }, (w) => w.uint(1))],
    ['an event that nobody asked for', frame({ type: MESSAGE_TYPE.MESSAGE, procedure: 318 })],
    ['a stream that was never opened', frame({ type: MESSAGE_TYPE.STREAM, serial: 99, status: MESSAGE_STATUS.CONTINUE })],
    ['a keep-alive of a third kind', frame({ program: PROGRAM.KEEPALIVE, type: MESSAGE_TYPE.MESSAGE, procedure: 3 })],
  ])('%s', async (_name, bytes) => {
    const { daemon, held } = await holding(connectGetHostname);
    const connection = await daemon.connect();
    const call = failure(connection.hostname());
    await eventually('the call', () => held.length === 1);
    daemon.client.send(bytes);
    const reason = await connection.closed;
    expect(reason.kind).toBe('protocol');
    expect('cause' in reason && reason.cause).toBeInstanceOf(ProtocolError);
    expect(await call).toMatchObject({ kind: expect.stringMatching(/^(connection-lost|protocol)$/) });
  });
});
