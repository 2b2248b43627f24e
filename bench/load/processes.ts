import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** What a process of the bench does when its parent asks for it, by name. */
export type Handlers = Readonly<Record<string, (argument: never) => unknown>>;

interface Asked {
  /** Null: nobody waits for an answer. */
  id: number | null;
  name: string;
  argument: unknown;
}

type Answered = { id: number; value: unknown } | { id: number; error: string };

type ArgumentOf<Handler extends (argument: never) => unknown> = Parameters<Handler> extends [] ? [] : Parameters<Handler>;

/** A process of its own, which ends when this one does. */
export interface Child<Served extends Handlers> extends AsyncDisposable {
  ask<Name extends keyof Served & string>(name: Name, ...argument: ArgumentOf<Served[Name]>): Promise<Awaited<ReturnType<Served[Name]>>>;
  /** Asks, and awaits no answer. */
  tell<Name extends keyof Served & string>(name: Name, ...argument: ArgumentOf<Served[Name]>): void;
  usage(): Usage;
}

/** What a process has of the machine. */
export interface Usage {
  residentBytes: number;
  /** Of all its threads, since it started. */
  cpuSeconds: number;
}

/** Starts a program that serves its parent; what it prints is printed. */
export function startProcess<Served extends Handlers>(program: string, execArgv: readonly string[] = []): Child<Served> {
  const child = fork(program, { execArgv: [...execArgv], serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let next = 0;
  let ended: Error | null = null;
  child.on('message', (message) => {
    const answered = message as Answered; // from serveParent
    const waiter = waiting.get(answered.id);
    waiting.delete(answered.id);
    if ('error' in answered) waiter?.reject(new Error(answered.error));
    else waiter?.resolve(answered.value);
  });
  child.on('exit', (code, signal) => {
    ended = new Error(`${program} has ended (${signal ?? code}).`);
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  });
  const send = (message: Asked): void => {
    if (ended !== null) throw ended;
    child.send(message);
  };
  return {
    ask: (name, ...[argument]) =>
      new Promise<never>((resolve, reject) => {
        const id = (next += 1);
        send({ id, name, argument });
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject }); // the child answers what its handler returns
      }),
    tell: (name, ...[argument]) => send({ id: null, name, argument }),
    usage: () => usageOf(child.pid),
    async [Symbol.asyncDispose]() {
      if (ended !== null) return;
      const exit = once(child, 'exit');
      child.disconnect();
      await exit;
    },
  };
}

/** Serves the parent until it lets go or is gone, however it went; `close` is then run first, within two seconds. */
export function serveParent(handlers: Handlers, close: () => Promise<void> = async () => {}): void {
  process.on('SIGINT', () => {}); // meant for the parent, which lets go
  process.on('disconnect', () => {
    setTimeout(() => process.exit(), 2_000);
    close().finally(() => process.exit());
  });
  process.on('message', (message) => {
    const { id, name, argument } = message as Asked; // from startProcess
    const run = async (): Promise<unknown> => handlers[name]?.(argument as never); // its type is checked where it is sent
    run().then(
      (value) => id === null || process.send?.({ id, value } satisfies Answered),
      (error: unknown) => {
        if (id === null) throw error;
        process.send?.({ id, error: String(error instanceof Error ? error.stack : error) } satisfies Answered);
      },
    );
  });
}

const TICKS_PER_SECOND = 100;

/** Source: proc_pid_status(5), VmRSS; proc_pid_stat(5), fields 14 (utime) and 15 (stime), in ticks of which Linux counts 100 a second. */
export function usageOf(pid: number | undefined): Usage {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { residentBytes: Number(kibibytes) * 1_024, cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND };
}

/** Milliseconds on a clock that all processes of a machine share. */
export const sharedNow = (): number => Number(process.hrtime.bigint()) / 1e6;
