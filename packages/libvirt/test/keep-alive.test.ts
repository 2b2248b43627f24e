import { eventually } from '@novacron/testkit';
import { describe, expect, it } from 'vitest';
import { PROGRAM } from '../src/frame.ts';
import { PROCEDURES } from '../src/procedures.ts';
import { answering, failure, FakeDaemon } from './fake-daemon.ts';

describe('keep-alive', () => {
  const pings = (daemon: FakeDaemon, procedure: number) =>
    daemon.client.received.filter(({ header }) => header.program === PROGRAM.KEEPALIVE && header.procedure === procedure).length;

  it('answers pings', async () => {
    const daemon = await FakeDaemon.start();
    await daemon.connect();
    for (let i = 0; i < 3; i++) daemon.client.keepAlive(1);
    await eventually('three pongs', () => pings(daemon, 2) >= 3);
    expect(pings(daemon, 2)).toBe(3);
  });

  it('pings a silent daemon, and gives it up after as many as agreed', async () => {
    const daemon = await FakeDaemon.start();
    const connection = await daemon.connect({ keepAlive: { intervalMs: 10, count: 3 } });
    expect(await connection.closed).toMatchObject({ kind: 'keep-alive' });
    expect(pings(daemon, 1)).toBe(3);
  });

  it('keeps a daemon that answers', async () => {
    const daemon = await FakeDaemon.start((received, client) => {
      if (received.header.program !== PROGRAM.KEEPALIVE) return false;
      client.keepAlive(2);
      return true;
    });
    const connection = await daemon.connect({ keepAlive: { intervalMs: 10, count: 1 } });
    await eventually('ten pings', () => pings(daemon, 1) >= 10);
    await connection.close();
    expect(await connection.closed).toMatchObject({ kind: 'closed' });
  });

  it('does not ping a daemon that knows nothing of it', async () => {
    const daemon = await answering(PROCEDURES.connectSupportsFeature, { supported: 0 });
    const connection = await daemon.connect({ keepAlive: { intervalMs: 1, count: 1 } });
    await failure(connection.hostname({ deadlineMs: 50 }));
    expect(pings(daemon, 1)).toBe(0);
  });
});
