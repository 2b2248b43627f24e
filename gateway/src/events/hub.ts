import type { EventRecord } from '@novacron/contracts';
import type { EventLog } from '@novacron/events';
import type { EventHub as Hub, NounOf } from '@novacron/supergraph';
import type { Logger } from 'pino';
import { ListenerIndex } from './listener-index.ts';

export type EventNoun = NounOf<EventRecord>;

/**
 * The gateway's one reader of the event log. It hands each event to those who listen to its noun or to its very
 * object, so that ten thousand subscribers to single VMs cost an event nothing.
 */
export interface EventHub extends Hub<EventRecord> {
  /** True once the hub has come to this position; false when that takes longer than the time given. */
  reaches(position: number, timeoutMs: number): Promise<boolean>;
  close(): Promise<void>;
}

/** Follows the log from its present head on. */
export async function createEventHub(log: EventLog, logger: Logger): Promise<EventHub> {
  const listeners = new ListenerIndex<EventNoun, EventRecord>(logger);
  const waiting = new Set<() => void>();
  let position = await log.head();

  function handOver(event: EventRecord): void {
    position = event.position; // first: who begins to listen inside a listener must not get this event
    const noun = event.type.slice(0, event.type.indexOf('.')) as EventNoun; // what stands before the dot, by its type
    listeners.tell(noun, event.entityId, event);
    for (const check of waiting) check();
  }
  const follower = log.follow(position, handOver);

  return {
    get position() {
      return position;
    },
    listen: (noun, ids, listener) => listeners.add(noun, ids, listener),
    reaches(target, timeoutMs) {
      return new Promise((resolve) => {
        const end = (answer: boolean) => {
          clearTimeout(timer);
          waiting.delete(check);
          resolve(answer);
        };
        const check = () => position >= target && end(true);
        const timer = setTimeout(end, timeoutMs, false);
        waiting.add(check);
        check();
      });
    },
    close: () => follower.close(),
  };
}
