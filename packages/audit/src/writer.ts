import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';

/** What operations.write_audit takes. */
export interface Line {
  id: string;
  ended: boolean;
  entry: object;
  /** Of a refusal: those of one origin with one key are alike. */
  key?: string;
  origin?: string;
  count?: number;
}

export interface Writer {
  /** Resolves once it is durable; rejects when it could not be written. */
  add(line: Line): Promise<void>;
  /** Written some time soon. `joins`: counted with those that wait and are alike. */
  post(line: Line, how?: { joins: boolean }): void;
  /** Writes what waits, and gives up what can't be written. */
  close(): Promise<void>;
}

export interface WriterOptions {
  write(lines: readonly Line[]): Promise<void>;
  /** Tries again until it is written, or the writer is closed: nobody waits for it. */
  isPatient: boolean;
  logger: Logger;
}

const BATCH = 200;
const RETRY_MS = 500;
/** Of lines that nobody waits for: a database that is away must not fill the memory. */
const MOST_WAITING = 20_000;

/** What is written is at fault, whenever it is written. https://www.postgresql.org/docs/18/errcodes-appendix.html: classes 22 and 23 */
const isFaultOfData = (error: unknown): boolean => error instanceof Object && 'code' in error && /^2[23]\w{3}$/.test(String(error.code));

interface Waiting {
  line: Line;
  settle?: { resolve(): void; reject(error: unknown): void };
}

/** One write at a time; what comes meanwhile goes with the next. */
export function createWriter({ write, isPatient, logger }: WriterOptions): Writer {
  let waiting: Waiting[] = [];
  /** Of those that wait, by their likeness: a flood of the same refusal is one line. */
  let alike = new Map<string, Line>();
  let running: Promise<void> | null = null;
  const closed = new AbortController();
  let dropped = 0;

  async function writeBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      await write(batch.map(({ line }) => line));
      for (const { settle } of batch) settle?.resolve();
    } catch (error) {
      const isRefused = isFaultOfData(error);
      // one line that PostgreSQL refuses must not keep the others out
      if (isRefused && batch.length > 1) return void (await Promise.all(batch.map((one) => writeBatch([one]))));
      const isHopeless = !isPatient || isRefused || closed.signal.aborted;
      const fields = { err: error, entries: batch.length };
      if (isHopeless) {
        for (const { settle } of batch) settle?.reject(error);
        return logger.error(fields, 'audit entries could not be written');
      }
      logger.warn(fields, 'audit entries could not be written; trying again');
      waiting = [...batch, ...waiting];
      await delay(RETRY_MS, undefined, { signal: closed.signal }).catch(() => undefined); // then once more
    }
  }

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH);
      waiting = waiting.slice(BATCH);
      alike = new Map();
      await writeBatch(batch);
    }
    running = null;
  }

  function push(one: Waiting): void {
    waiting.push(one);
    running ??= Promise.resolve().then(run); // with whatever else comes in this turn
  }

  return {
    add: (line) => new Promise((resolve, reject) => push({ line, settle: { resolve, reject } })),
    post(line, { joins } = { joins: false }) {
      const likeness = joins ? `${line.origin}:${line.key}` : null;
      const before = likeness === null ? undefined : alike.get(likeness);
      if (before) {
        before.count = (before.count ?? 1) + 1;
        return;
      }
      if (waiting.length >= MOST_WAITING) {
        dropped += 1;
        if (dropped % MOST_WAITING === 1) logger.error({ dropped }, 'too many audit entries wait, and some were dropped');
        return;
      }
      if (likeness !== null) alike.set(likeness, line);
      push({ line });
    },
    async close() {
      closed.abort();
      await running;
    },
  };
}
