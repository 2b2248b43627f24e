import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DOMAIN_EVENTS } from '../src/domain-event.ts';
import { FrameReader, HEADER_BYTES, MESSAGE_STATUS, MESSAGE_TYPE } from '../src/frame.ts';
import { NETWORK_EVENT, POOL_EVENTS } from '../src/host-event.ts';
import { isClientError, ProtocolError } from '../src/index.ts';
import { PROCEDURES } from '../src/procedures.ts';
import { RpcChannel } from '../src/rpc-channel.ts';
import { nextPiece } from '../src/sparse.ts';
import { domain, remoteError, streamHole, typedParams, type TypedValue } from '../src/structures.ts';
import { XdrReader } from '../src/xdr.ts';
import { frame } from './fake-daemon.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

/** Cuts the bytes wherever the numbers say. */
function cut(whole: Buffer, at: number[]): Buffer[] {
  const places = [0, ...at.map((place) => place % (whole.length + 1)).toSorted((a, b) => a - b), whole.length];
  return places.slice(1).map((end, index) => whole.subarray(places[index], end));
}

const typedValue: fc.Arbitrary<TypedValue> = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: -1 }),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.boolean(),
  fc.string({ unit: fc.constantFrom('a', 'ü', '🖥') }),
);

describe('the frame reader', () => {
  it('finds the same frames however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(bytes(300), { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 40 }), (payloads, places) => {
        const frames = payloads.map((payload, serial) => frame({ serial }, (writer) => writer.raw(payload)));
        const reader = new FrameReader();
        const found: string[] = [];
        for (const chunk of cut(Buffer.concat(frames), places)) {
          for (const message of reader.push(chunk)) found.push(message.toString('hex'));
        }
        expect(found).toEqual(frames.map((message) => message.toString('hex')));
        expect(reader.isInsideFrame).toBe(false);
      }),
    );
  });

  it('is linear: a message of 32 MiB in chunks of 1 KiB takes no time to speak of', () => {
    const whole = frame({}, (writer) => writer.raw(Buffer.alloc(33_554_408)));
    const reader = new FrameReader();
    const started = performance.now();
    let found = 0;
    for (let start = 0; start < whole.length; start += 1024) {
      for (const message of reader.push(whole.subarray(start, start + 1024))) found += message.length;
    }
    expect(found).toBe(whole.length);
    expect(performance.now() - started).toBeLessThan(2_000); // quadratic would be minutes
  });
});

describe('the search for holes', () => {
  it('cuts any chunk into zeros and the rest, without losing a byte', () => {
    const runs = fc.array(fc.record({ byte: fc.nat(1), length: fc.nat(9_000) }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(runs, (parts) => {
        const chunk = Buffer.concat(parts.map(({ byte, length }) => Buffer.alloc(length, byte)));
        const pieces: Buffer[] = [];
        for (let start = 0; start < chunk.length; ) {
          const { isZeros, end } = nextPiece(chunk, start);
          expect(end).toBeGreaterThan(start);
          pieces.push(isZeros ? Buffer.alloc(end - start) : chunk.subarray(start, end));
          start = end;
        }
        expect(Buffer.concat(pieces).equals(chunk)).toBe(true);
      }),
    );
  });
});

describe('codecs', () => {
  it('read back what they wrote', () => {
    const params = fc.dictionary(fc.string({ unit: fc.constantFrom('a', 'b', '.', 'ü') }), typedValue);
    const domains = fc.record({ name: fc.string({ unit: 'grapheme-ascii' }), uuid: fc.uuid(), id: fc.integer({ min: -1, max: 9 }) });
    const codec = PROCEDURES.connectGetAllDomainStats.result;
    fc.assert(
      fc.property(fc.array(fc.record({ domain: domains, params }), { maxLength: 5 }), (records) => {
        const message = frame({}, (writer) => codec.write(writer, { records }));
        const reader = new XdrReader(message, HEADER_BYTES);
        expect(codec.read(reader)).toEqual({ records });
        reader.end();
      }),
    );
  });

  const readers: [string, (reader: XdrReader) => unknown][] = [
    ...Object.values(PROCEDURES).map((row): [string, (reader: XdrReader) => unknown] => [row.name, (r) => row.result.read(r)]),
    ...Object.entries(DOMAIN_EVENTS).map(([kind, row]): [string, (reader: XdrReader) => unknown] => [kind, (r) => row.read(r)]),
    ['a network event', (r) => NETWORK_EVENT.read(r)],
    ...Object.entries(POOL_EVENTS).map(([kind, row]): [string, (reader: XdrReader) => unknown] => [`pool ${kind}`, (r) => row.read(r)]),
    ['a hole', (r) => streamHole.read(r)],
    ['an error', (r) => remoteError.read(r)],
    ['typed parameters', (r) => typedParams(1_000).read(r)],
    ['a domain', (r) => domain.read(r)],
  ];

  it.each(readers)('%s: any bytes are a value or a ProtocolError', (_name, read) => {
    // Small words make believable counts and lengths, so that reading gets somewhere.
    const words = fc.array(fc.oneof(fc.nat(12), fc.nat(2 ** 32 - 1)), { maxLength: 60 }).map((values) => {
      const buffer = Buffer.alloc(values.length * 4);
      for (const [index, value] of values.entries()) buffer.writeUInt32BE(value, index * 4);
      return buffer;
    });
    fc.assert(
      fc.property(fc.oneof(words, bytes(200)), (payload) => {
        let thrown: unknown;
        try {
          read(new XdrReader(payload));
        } catch (error) {
          thrown = error;
        }
        expect(thrown === undefined || thrown instanceof ProtocolError).toBe(true);
      }),
    );
  });
});

describe('a channel', () => {
  /** A conversation of a daemon: two answers, an error, a ping; the calls have the serials 1 to 4. */
  const conversation = Buffer.concat([
    frame({ procedure: 59, serial: 1 }, (w) => w.string('host', 99)),
    frame({ procedure: 273, serial: 2 }, (w) => {
      const result = { domains: [{ name: 'vm', uuid: '6695eb01-f6a4-8304-79aa-97f2502e193f', id: 1 }], count: 1 };
      PROCEDURES.connectListAllDomains.result.write(w, result);
    }),
    frame({ program: 0x6b656570, procedure: 1, type: MESSAGE_TYPE.MESSAGE }),
    frame({ procedure: 4, serial: 3, status: MESSAGE_STATUS.ERROR }, (w) => {
      const empty = { dom: null, str1: null, str2: null, str3: null, int1: 0, int2: 0, net: null };
      remoteError.write(w, { code: 1, domain: 1, level: 2, message: 'no', ...empty });
    }),
    frame({ procedure: 157, serial: 4 }, (w) => w.uhyper(9_000_000n)),
  ]);

  const flips = fc.array(fc.tuple(fc.nat(conversation.length - 1), fc.nat(255)), { maxLength: 4 });

  it('settles every call and ends, whatever happens to the daemon’s bytes', async () => {
    await fc.assert(
      fc.asyncProperty(flips, fc.nat(conversation.length), fc.array(fc.nat(), { maxLength: 10 }), async (changes, keep, places) => {
        const damaged = Buffer.from(conversation);
        for (const [offset, value] of changes) damaged[offset] = value;
        const [ours, theirs] = duplexPair();
        theirs.resume().on('error', () => undefined);
        const channel = new RpcChannel(ours, { maxInFlight: 4, defaultDeadlineMs: 60_000 });
        const calls = Promise.allSettled([
          channel.call(PROCEDURES.connectGetHostname, undefined),
          channel.call(PROCEDURES.connectListAllDomains, { needResults: 1, flags: 0 }),
          channel.call(PROCEDURES.connectGetVersion, undefined),
          channel.call(PROCEDURES.connectGetLibVersion, undefined),
        ]);
        for (const chunk of cut(damaged.subarray(0, keep), places)) {
          theirs.write(chunk);
          await turn();
        }
        theirs.end();
        const reason = await channel.closed;
        expect(['ended', 'protocol']).toContain(reason.kind);
        const errors = (await calls).flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
        expect(errors.every(isClientError)).toBe(true);
        if (!ours.closed) await once(ours, 'close');
      }),
      { numRuns: 300 },
    );
  });

  it('answers the undamaged conversation', async () => {
    const [ours, theirs] = duplexPair();
    theirs.resume();
    const channel = new RpcChannel(ours, { maxInFlight: 4, defaultDeadlineMs: 60_000 });
    const calls = Promise.allSettled([
      channel.call(PROCEDURES.connectGetHostname, undefined),
      channel.call(PROCEDURES.connectListAllDomains, { needResults: 1, flags: 0 }),
      channel.call(PROCEDURES.connectGetVersion, undefined),
      channel.call(PROCEDURES.connectGetLibVersion, undefined),
    ]);
    theirs.write(conversation);
    expect((await calls).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    channel.end({ kind: 'closed', message: 'done' });
  });
});
