import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createHttpServer } from '../src/http/server.ts';
import { createTelemetry } from '../src/telemetry.ts';
import { startGateway } from './gateway-fixture.ts';
import { readAll, sendRaw } from './raw-socket.ts';

it('an unfinished request does not keep the gateway from stopping', async () => {
  const fixture = await startGateway();
  const socket = await sendRaw(fixture.gateway.port, 'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{');
  const closed = readAll(socket);
  await fixture.query('{ requestId }');
  const begun = performance.now();
  await fixture.close();
  expect(performance.now() - begun).toBeLessThan(8_000);
  await closed;
});

it('headers have a time by which they have to be there, and silence has an end', () => {
  const { server } = createHttpServer({ allowedOrigins: [], telemetry: createTelemetry(), logger: pino({ level: 'silent' }), tls: null });
  // of a whole request, see limitRequestTime: uploads take longer
  expect([server.headersTimeout, server.requestTimeout, server.timeout]).toEqual([10_000, 0, 120_000]);
});
