import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { InvalidSupergraph, loadSupergraph, type Supergraph } from './supergraph.ts';
import type { SupergraphSource } from './supergraph-source.ts';

/** What has come of a file. */
export interface SupergraphState {
  /** When the current supergraph was loaded. */
  readonly loadedAt: Date;
  /** Why what the file holds now is not served, and the one before it is; null: it is served. */
  readonly refusal: string | null;
}

/** A supergraph that follows its file. What can't be served is refused, and the one before it stays. */
export interface SupergraphFile extends SupergraphSource {
  readonly state: SupergraphState;
  /** Stops following. */
  close(): void;
}

export interface SupergraphFileOptions {
  path: string;
  /** Throws InvalidSupergraph for one that can't be served here, whatever it is elsewhere. */
  accept?(supergraph: Supergraph): void;
  logger: Logger;
}

/**
 * How often the file is looked at. Looking needs nothing of the file system that a network, a container or the symbolic
 * links of a Kubernetes volume could lack, as notifications do.
 */
const LOOK_EVERY_MS = 500;

/** Loads the file, and each content that it has later. InvalidSupergraph names the file and says what is wrong. */
export async function openSupergraphFile({ path, accept = () => {}, logger }: SupergraphFileOptions): Promise<SupergraphFile> {
  const listeners = new Set<(supergraph: Supergraph) => void>();

  async function read(): Promise<string> {
    return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      const why = { ENOENT: 'there is no such file', EISDIR: 'it is a directory', EACCES: 'it may not be read' }[cause.code ?? ''] ?? cause.message;
      throw new InvalidSupergraph(`The supergraph can't be read from ${path}: ${why}.`, { cause });
    });
  }
  function load(sdl: string): Supergraph {
    try {
      const supergraph = loadSupergraph(sdl);
      accept(supergraph);
      return supergraph;
    } catch (cause) {
      if (!(cause instanceof InvalidSupergraph)) throw cause;
      throw new InvalidSupergraph(`The supergraph in ${path} can't be served: ${cause.message}`, { cause });
    }
  }

  let seen = await fingerprint(path); // before it is read: what comes between is seen at the next look
  let current = load(await read());
  let state: SupergraphState = { loadedAt: new Date(), refusal: null };

  async function reload(): Promise<void> {
    try {
      const sdl = await read();
      if (sdl === current.sdl && state.refusal === null) return;
      if (sdl !== current.sdl) {
        current = load(sdl);
        for (const listener of listeners) listener(current);
      }
      state = { loadedAt: new Date(), refusal: null };
      logger.info({ path, hash: current.hash }, 'a supergraph was loaded');
    } catch (thrown) {
      if (!(thrown instanceof InvalidSupergraph)) throw thrown;
      state = { ...state, refusal: thrown.message };
      logger.error({ path, hash: current.hash, err: thrown }, 'a supergraph was refused: the one before it stays');
    }
  }

  const closing = new AbortController();
  async function follow(): Promise<void> {
    for (;;) {
      await delay(LOOK_EVERY_MS, undefined, { signal: closing.signal, ref: false });
      const now = await fingerprint(path);
      if (now === seen) continue;
      seen = now;
      await reload().catch((err: unknown) => logger.error({ err, path }, 'a supergraph could not be followed'));
    }
  }
  follow().catch(() => {}); // it ends by being closed, and by nothing else

  return {
    get current() {
      return current;
    },
    get state() {
      return state;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => closing.abort(),
  };
}

/** Changes whenever the content may have; links are followed. */
async function fingerprint(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return 'not there';
  }
}
