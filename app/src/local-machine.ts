import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { LocalError, proveAcceleration, startLibvirtd, startPostgres, startRedis, type Progress } from '@novacron/local';
import type { Environment } from './environment.ts';
import { restNetworks } from './rest-networks.ts';

/** What this machine contributes to an embedded NovaCron. */
export interface LocalMachine {
  databaseUrl: string;
  redisUrl: string;
  /** This machine's libvirt; null when it has none, with the reason. */
  libvirt: { uri: string } | { uri: null; reason: string };
  isAccelerated(): Promise<boolean>;
  /** Stops what was started here; a libvirtd leaves its guests running. */
  close(): Promise<void>;
}

/** Starts what was not named by the environment: PostgreSQL, Redis and a libvirtd, all private to this instance. */
export async function startLocalMachine(environment: Environment, onProgress: Progress): Promise<LocalMachine> {
  const { data } = environment;
  const opened = new AsyncDisposableStack();
  let proof: Promise<boolean> | undefined;
  const isAccelerated = () =>
    (proof ??= proveAcceleration({ dir: join(data, 'acceleration'), onProgress }).then(({ accelerated }) => accelerated));
  const open = async <Part extends { stop(): Promise<void> }>(part: Promise<Part>): Promise<Part> => {
    const started = await part;
    opened.defer(() => started.stop());
    return started;
  };
  try {
    const settled = await Promise.allSettled([
      environment.databaseUrl ?? open(startPostgres({ dir: join(data, 'postgres'), onProgress })).then(({ url }) => url),
      environment.redisUrl ?? open(startRedis({ dir: join(data, 'redis'), onProgress })).then(({ url }) => url),
      findLibvirt(),
    ]);
    const failed = settled.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    const [databaseUrl, redisUrl, libvirt] = settled.map((result) => (result.status === 'fulfilled' ? result.value : undefined)) as [
      string,
      string,
      LocalMachine['libvirt'],
    ]; // all fulfilled, as just seen
    return {
      databaseUrl,
      redisUrl,
      libvirt,
      isAccelerated,
      close: () => opened.disposeAsync(),
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }

  /** Without a libvirt here the rest is useful all the same: other hosts can be registered. */
  async function findLibvirt(): Promise<LocalMachine['libvirt']> {
    if (environment.libvirtUri !== null) return { uri: environment.libvirtUri };
    try {
      await Promise.any(['/usr/sbin/libvirtd', '/usr/bin/libvirtd'].map((file) => access(file))).catch(() => {
        throw new LocalError('libvirt is not installed here.');
      });
      const { kind, uri } = await open(startLibvirtd({ dir: join(data, 'libvirt'), hideKvm: !(await isAccelerated()), onProgress }));
      if (kind !== 'system') opened.defer(() => restNetworks(uri));
      return { uri };
    } catch (error) {
      if (error instanceof LocalError) return { uri: null, reason: error.message };
      throw error;
    }
  }
}
