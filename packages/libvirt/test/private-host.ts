import { startLibvirtHosts } from '@novacron/testkit';
import type { TestHost } from '@novacron/testkit';
import { afterAll, beforeAll } from 'vitest';

/** One libvirt host for all the tests of a file; returns a function, because it starts before the first of them. */
export function useHost(): () => TestHost {
  let host: TestHost | undefined;
  let stop: (() => Promise<void>) | undefined;

  beforeAll(async () => {
    const started = await startLibvirtHosts(1);
    stop = started.stop;
    host = started.hosts[0]!; // one was asked for
    // libvirt locks a console by the number of its pty, and hosts on one machine have the same numbers.
    await host.exec('mount', '-t', 'tmpfs', 'lock', '/run/lock');
  });

  afterAll(() => stop?.());

  return () => {
    if (!host) throw new Error('the host starts before the first test');
    return host;
  };
}
