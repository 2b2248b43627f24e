import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import type { Bell } from './kernel.ts';
import { createRinger, type Ringer } from './ringer.ts';

/** BullMQ refuses ':' in names. */
export const queueName = (service: string, hostId: string | null): string => (hostId === null ? service : `${service}.${hostId}`);

export interface Bells extends Pick<Ringer, 'connected' | 'close'> {
  /**
   * Tells the queue where an operation goes on. Never fails and is never waited for: a bell that is lost is rung
   * again by the sweeper.
   */
  ring(bell: Bell | null): void;
}

/**
 * The same for the same try, so that whoever rings again and again (the sweeper, for a queue that nobody serves) adds
 * nothing. A bell for now is another than the one that waits for the next try: cancelling must not wait for that.
 */
const jobId = ({ operationId, cursor, attempt, delayMs }: Bell): string =>
  `${operationId}-${cursor}-${attempt}-${delayMs > 0 ? 'later' : 'now'}`;

export function createBells(redis: RedisOptions, logger: Logger): Bells {
  const ringer = createRinger(redis, logger);
  return {
    connected: ringer.connected,
    ring(bell) {
      if (bell === null) return;
      const { service, hostId, operationId, delayMs } = bell;
      ringer.ring({ queue: queueName(service, hostId), jobId: jobId(bell), data: { operationId }, delayMs });
    },
    close: ringer.close,
  };
}
