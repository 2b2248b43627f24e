import { eventually } from '@novacron/testkit';
import { describe, expect, it } from 'vitest';
import { DeadlineExceeded, Unsupported } from '../src/index.ts';
import { PROCEDURES } from '../src/procedures.ts';
import { answering, argsOf, failure, FakeDaemon, holding } from './fake-daemon.ts';

describe('the handshake', () => {
  it('authenticates with polkit when the daemon asks for it', async () => {
    const { authList, authPolkit } = PROCEDURES;
    const daemon = await FakeDaemon.start((received, client) => {
      if (received.header.procedure === authList.number) client.reply(received, authList, { types: [2] });
      else if (received.header.procedure === authPolkit.number) client.reply(received, authPolkit, { complete: 1 });
      else return false;
      return true;
    });
    await daemon.connect();
    expect(daemon.client.calls(authPolkit)).toHaveLength(1);
  });

  it('says what it lacks when the daemon wants SASL', async () => {
    const daemon = await answering(PROCEDURES.authList, { types: [1] });
    expect(await failure(daemon.connect())).toBeInstanceOf(Unsupported);
    await eventually('the socket’s end', () => daemon.client.socket.closed);
  });

  it('opens the driver that the URI names', async () => {
    const daemon = await FakeDaemon.start();
    await daemon.connect({ uri: 'qemu+unix:///system?socket=/elsewhere' });
    const [open] = daemon.client.calls(PROCEDURES.connectOpen);
    expect(open && argsOf(PROCEDURES.connectOpen, open)).toEqual({ name: 'qemu:///system', flags: 0 });
  });

  it('can be aborted', async () => {
    const { daemon, held } = await holding(PROCEDURES.connectOpen);
    const abort = new AbortController();
    const attempt = failure(daemon.connect({ signal: abort.signal }));
    await eventually('the call to open', () => held.length === 1);
    abort.abort(new Error('enough'));
    expect(await attempt).toMatchObject({ message: 'enough' });
    await eventually('the socket’s end', () => daemon.client.socket.closed);
    expect(await failure(daemon.connect({ signal: abort.signal }))).toMatchObject({ message: 'enough' });
  });

  it('does not wait for ever for a daemon that does not answer', async () => {
    const { daemon } = await holding(PROCEDURES.connectOpen);
    expect(await failure(daemon.connect({ defaultDeadlineMs: 20 }))).toBeInstanceOf(DeadlineExceeded);
  });
});
