import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n';

/** Opens a TCP connection and writes a request as it stands: what no HTTP client would send. */
export async function sendRaw(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {}); // to be reset is an answer, too
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

/** All that comes back until the other side closes. */
export async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (data) => (text += String(data)));
  await once(socket, 'close');
  return text;
}

/** A WebSocket frame as clients send it: masked, here with zeros (https://www.rfc-editor.org/rfc/rfc6455#section-5.2). */
export function frame(opcode: 'text' | 'ping', payload: string): Buffer {
  const body = Buffer.from(payload);
  const size = body.length < 126 ? Buffer.from([0x80 | body.length]) : Buffer.from([0x80 | 126, body.length >> 8, body.length & 255]);
  return Buffer.concat([Buffer.from([opcode === 'text' ? 0x81 : 0x89]), size, Buffer.alloc(4), body]);
}
