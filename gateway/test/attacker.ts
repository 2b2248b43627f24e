/**
 * A crowd that means no good, in a process of its own: PORT, TOKEN and CROWD (JSON: how many of each kind) in the environment. Prints
 * a line once everyone has come, and for each line it reads how many of each kind are still connected.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { frame, UPGRADE } from './raw-socket.ts';

/** Another address than that of those who mean well. */
const ADDRESS = '127.0.0.66';
const { PORT, TOKEN, CROWD = '{}' } = process.env;

const HEAD = `Host: gateway\r\nAuthorization: Bearer ${TOKEN}\r\n`;
const upgrade = (path: string): string => `GET ${path} HTTP/1.1\r\n${HEAD}${UPGRADE}\r\n`;
const post = (body: string, headers = ''): string => `POST /graphql HTTP/1.1\r\n${HEAD}Content-Type: application/json\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
const json = (message: object): Buffer => frame('text', JSON.stringify(message));

/** Goes on and on, as long as the other side takes it. */
function repeat(socket: Socket, bytes: string | Buffer, everyMs: number): void {
  const timer = setInterval(() => socket.writableLength < 2 ** 20 && socket.write(bytes), everyMs);
  socket.once('close', () => clearInterval(timer));
}

/** A frame's head for a text of so many bytes, of which the first is yet to come; or for a part that is not the last. */
const giant = (size: bigint): Buffer => Buffer.from([0x81, 0xff, ...Buffer.from(size.toString(16).padStart(16, '0'), 'hex'), 0, 0, 0, 0]);
const part = Buffer.concat([Buffer.from([0x00, 0x80 | 126, 4, 0, 0, 0, 0, 0]), Buffer.alloc(1_024, 'x')]);
const squeezed = Buffer.from([0xc1, 0x85, 0, 0, 0, 0, 1, 2, 3, 4, 5]);

/** What each does once it is connected. */
const MISCHIEF = {
  silent: () => {},
  headersDripped(socket: Socket) {
    socket.write('GET /graphql HTTP/1.1\r\nHost: gateway\r\n');
    repeat(socket, 'X-Drop: 1\r\n', 500);
  },
  bodyDripped(socket: Socket) {
    socket.write(post('{'.padEnd(50_000)).slice(0, -49_000));
    repeat(socket, ' ', 500);
  },
  upgradeUnfinished: (socket: Socket) => socket.write(upgrade('/graphql').slice(0, -2)),
  socketSilent: (socket: Socket) => socket.write(upgrade('/graphql')),
  eventsSilent: (socket: Socket) => socket.write(upgrade('/ws/events/v1')),
  frameGiant: (socket: Socket) => socket.write(Buffer.concat([Buffer.from(upgrade('/graphql')), giant(2n ** 62n)])),
  eventsFrameGiant: (socket: Socket) => socket.write(Buffer.concat([Buffer.from(upgrade('/ws/events/v1')), giant(70_000n)])),
  messageInParts(socket: Socket) {
    socket.write(Buffer.concat([Buffer.from(upgrade('/graphql')), Buffer.from([0x01, 0x80, 0, 0, 0, 0])]));
    repeat(socket, part, 5);
  },
  frameSqueezed: (socket: Socket) => socket.write(Buffer.concat([Buffer.from(upgrade('/graphql')), squeezed])),
  pinging(socket: Socket) {
    socket.write(upgrade('/graphql'));
    repeat(socket, Buffer.concat(Array.from({ length: 100 }, () => frame('ping', 'x'.repeat(125)))), 50);
  },
  headersWithoutEnd(socket: Socket) {
    socket.write('GET / HTTP/1.1\r\n');
    repeat(socket, `X-${'a'.repeat(500)}: ${'b'.repeat(1_000)}\r\n`, 1);
  },
  headersMany: (socket: Socket) => socket.write(`GET / HTTP/1.1\r\n${'a:\r\n'.repeat(20_000)}\r\n`),
  bodySqueezed: (socket: Socket) => socket.write(post('x'.repeat(1_000), 'Content-Encoding: gzip\r\nConnection: close\r\n')),
  pipelining(socket: Socket) {
    socket.pause();
    repeat(socket, post(JSON.stringify({ query: '{ vms { name } }' })).repeat(50), 100);
  },
  deaf(socket: Socket) {
    socket.pause();
    socket.write(Buffer.concat([Buffer.from(upgrade('/graphql')), json({ type: 'connection_init', payload: { authorization: `Bearer ${TOKEN}` } })]));
    const query = 'subscription { vmChanged { vm { name } } }';
    for (let id = 0; id < 50; id += 1) socket.write(json({ id: String(id), type: 'subscribe', payload: { query } }));
  },
  streamDeaf(socket: Socket) {
    socket.pause();
    socket.write(post(JSON.stringify({ query: 'subscription { vmChanged { vm { name } } }' }), 'Accept: text/event-stream\r\n'));
  },
  eventsDeaf(socket: Socket) {
    socket.pause();
    socket.write(Buffer.concat([Buffer.from(upgrade('/ws/events/v1')), json({ type: 'auth', token: TOKEN })]));
  },
  churning(socket: Socket) {
    socket.write(Buffer.concat([Buffer.from(upgrade('/graphql')), json({ type: 'connection_init', payload: { authorization: `Bearer ${TOKEN}` } })]));
    const query = 'subscription { vmChanged { cursor } }';
    const messages = Array.from({ length: 20 }, (_, id) => [json({ id: String(id), type: 'subscribe', payload: { query } }), json({ id: String(id), type: 'complete' })]);
    repeat(socket, Buffer.concat(messages.flat()), 100);
  },
} as const satisfies Record<string, (socket: Socket) => unknown>;

export type Mischief = keyof typeof MISCHIEF;
export type Crowd = Partial<Record<Mischief, number>>;

async function comes(kind: Mischief): Promise<Socket> {
  const socket = connect({ port: Number(PORT), host: '127.0.0.1', localAddress: ADDRESS, allowHalfOpen: true });
  socket.on('error', () => {}); // to be reset is what it asks for
  socket.on('end', () => socket.destroy());
  socket.resume();
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  MISCHIEF[kind](socket);
  return socket;
}

const wanted = JSON.parse(CROWD) as Crowd; // of whoever has started this
const kinds = Object.entries(wanted).flatMap(([kind, count]) => Array.from({ length: count }, () => kind as Mischief));
const crowd = await Promise.all(kinds.map(async (kind) => ({ kind, socket: await comes(kind) })));
process.stdout.write('here\n');
for await (const _line of createInterface({ input: process.stdin })) {
  const connected: Crowd = {};
  for (const { kind, socket } of crowd) if (!socket.destroyed) connected[kind] = (connected[kind] ?? 0) + 1;
  process.stdout.write(`${JSON.stringify(connected)}\n`);
}
