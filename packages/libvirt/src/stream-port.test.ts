import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeadlineExceeded } from './errors.ts';
import { MESSAGE_STATUS } from './frame.ts';
import { StreamPort } from './stream-port.ts';

/** More than a stream keeps for a reader that is behind. */
const MUCH = Buffer.alloc(512 * 1024);

/** A wire that notes what happens to it. */
function wire(): { port: StreamPort; log: string[]; errors: unknown[] } {
  const log: string[] = [];
  const port = new StreamPort('DOMAIN_OPEN_CONSOLE', {
    send: (status, data) => log.push(`send ${status} ${data.length}`),
    pause: () => log.push('pause'),
    resume: () => log.push('resume'),
  });
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
