import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { connect, type Connection, type ConnectOptions } from '../src/index.ts';
import type { Codec } from '../src/codec.ts';
import type { Header } from '../src/frame.ts';
import { encodeFrame, FrameReader, HEADER_BYTES, MESSAGE_STATUS, MESSAGE_TYPE, PROGRAM, readHeader } from '../src/frame.ts';
import { PROCEDURES } from '../src/procedures.ts';
import { remoteError } from '../src/structures.ts';
import { XdrReader } from '../src/xdr.ts';

/** One frame that the client sent. */
export interface Received {
  header: Header;
  payload: Buffer;
}

/** The daemon's end of one connection. */
export class FakeClient {
  readonly received: Received[] = [];
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Answers a call. */
  reply<Result>(to: Received, { result: codec }: { result: Codec<Result> }, result: Result): void {
    this.send(frame({ ...to.header, type: MESSAGE_TYPE.REPLY }, (writer) => codec.write(writer, result)));
  }

  /** Answers a call, or ends a stream, with an error. */
  refuse(to: Received, code: number, message: string): void {
    const type = to.header.type === MESSAGE_TYPE.STREAM ? MESSAGE_TYPE.STREAM : MESSAGE_TYPE.REPLY;
    this.send(
      frame({ ...to.header, type, status: MESSAGE_STATUS.ERROR }, (writer) =>
        remoteError.write(writer, {
          code, domain: 10, message, level: 2, dom: null, str1: null, str2: null, str3: null, int1: 0, int2: 0, net: null,
        }),
      ),
    );
  }

  keepAlive(procedure: number): void {
    this.send(frame({ program: PROGRAM.KEEPALIVE, procedure, type: MESSAGE_TYPE.MESSAGE }));
  }

  stream(to: Received, status: number, data: Uint8Array = new Uint8Array()): void {
    this.send(frame({ ...to.header, type: MESSAGE_TYPE.STREAM, status }, (writer) => writer.raw(data)));
  }

  /** What arrived for this procedure, in order. */
  calls(procedure: { number: number }): Received[] {
    return this.received.filter(({ header }) => header.program === PROGRAM.REMOTE && header.procedure === procedure.number);
  }
}

/** A frame; what is not given is what a daemon's reply has. */
export function frame(header: Partial<Header>, write?: Parameters<typeof encodeFrame>[1]): Buffer {
  const defaults = { program: PROGRAM.REMOTE, procedure: 1, type: MESSAGE_TYPE.REPLY, serial: 0, status: MESSAGE_STATUS.OK };
  return encodeFrame({ ...defaults, ...header }, write);
}

/** Returns true when it has dealt with the frame; else the fake answers what belongs to the handshake. */
export type Handler = (received: Received, client: FakeClient) => boolean;

/** A daemon below the client: a real UNIX socket, its answers scripted. Stops with the test. */
export class FakeDaemon {
  readonly clients: FakeClient[] = [];
  readonly socketPath: string;
  handle: Handler = () => false;
  #server: Server | undefined;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  static async start(handle?: Handler): Promise<FakeDaemon> {
    const dir = await mkdtemp(join(tmpdir(), 'fake-'));
    const daemon = new FakeDaemon(join(dir, 's'));
    if (handle) daemon.handle = handle;
    onTestFinished(async () => {
      await daemon.stop();
      await rm(dir, { recursive: true });
    });
    await daemon.listen();
    return daemon;
  }

  async listen(): Promise<void> {
    this.#server = createServer((socket) => this.#accept(socket)).listen(this.socketPath);
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    for (const client of this.clients) client.socket.destroy();
    server.close();
    await once(server, 'close');
  }

  /** The latest connection. */
  get client(): FakeClient {
    const client = this.clients.at(-1);
    if (!client) throw new Error('nobody has connected yet');
    return client;
  }

  async connect(options: Partial<ConnectOptions> = {}): Promise<Connection> {
    const connection = await connect({ uri: 'test:///default', socketPath: this.socketPath, keepAlive: false, ...options });
    onTestFinished(() => connection.close());
    return connection;
  }

  #accept(socket: Socket): void {
    const client = new FakeClient(socket);
    this.clients.push(client);
    const frames = new FrameReader();
    socket.on('error', () => undefined); // a client that is gone is what some tests are about
    socket.on('data', (chunk) => {
      for (const bytes of frames.push(chunk)) {
        const received = { header: readHeader(bytes), payload: Buffer.from(bytes.subarray(HEADER_BYTES)) };
        client.received.push(received);
        if (!this.handle(received, client)) answerHandshake(received, client);
      }
    });
  }
}

function answerHandshake(received: Received, client: FakeClient): void {
  if (received.header.program !== PROGRAM.REMOTE || received.header.type !== MESSAGE_TYPE.CALL) return;
  switch (received.header.procedure) {
    case PROCEDURES.authList.number: return client.reply(received, PROCEDURES.authList, { types: [0] });
    case PROCEDURES.connectOpen.number: return client.reply(received, PROCEDURES.connectOpen, undefined);
    case PROCEDURES.connectClose.number: return client.reply(received, PROCEDURES.connectClose, undefined);
    case PROCEDURES.connectSupportsFeature.number:
      return client.reply(received, PROCEDURES.connectSupportsFeature, { supported: 1 });
    case PROCEDURES.domainEventRegister.number:
      return client.reply(received, PROCEDURES.domainEventRegister, { callbackId: 7 });
    case PROCEDURES.domainEventDeregister.number:
      return client.reply(received, PROCEDURES.domainEventDeregister, undefined);
  }
}

/** The arguments of a call as the daemon reads them. */
export function argsOf<Args>({ args }: { args: Codec<Args> }, { payload }: Received): Args {
  return args.read(new XdrReader(payload));
}

/** A daemon that keeps the calls of one procedure for the test to answer. */
export async function holding(procedure: { number: number }): Promise<{ daemon: FakeDaemon; held: Received[] }> {
  const held: Received[] = [];
  const daemon = await FakeDaemon.start((received) => {
    if (received.header.type !== MESSAGE_TYPE.CALL || received.header.procedure !== procedure.number) return false;
    held.push(received);
    return true;
  });
  return { daemon, held };
}

/** A daemon that answers one procedure in its own way. */
export function answering<Result>(
  procedure: { number: number; result: Codec<Result> },
  result: Result,
): Promise<FakeDaemon> {
  return FakeDaemon.start((received, client) => {
    if (received.header.type !== MESSAGE_TYPE.CALL || received.header.procedure !== procedure.number) return false;
    client.reply(received, procedure, result);
    return true;
  });
}

/** The error that a promise rejects with. */
export const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.unreachable('this should have failed'),
    (error: unknown) => error,
  );
