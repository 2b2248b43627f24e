import type { EventRecord } from '@novacron/contracts';

/** A row of operations.event_log, as pg gives it. */
export interface EventRow {
  position: string;
  type: string;
  entity_id: string;
  tenant_id: string | null;
  body: { after: object; before?: object };
  at: Date;
}

/** Positions stay exact as numbers: at a million events a second 2^53 lasts 285 years. */
export const toRecord = (row: EventRow): EventRecord =>
  // the producer's type made the body fit the event's type; of the body, nothing but what changed is believed
  ({
    position: Number(row.position),
    type: row.type,
    entityId: row.entity_id,
    tenantId: row.tenant_id,
    at: row.at.toISOString(),
    after: row.body.after,
    ...(row.body.before === undefined ? {} : { before: row.body.before }),
  }) as EventRecord;

/** The stream that carries the log to whoever follows it; an entry's id is `<position>-0`, its one field the record. */
export const EVENT_STREAM = 'novacron.events';
export const streamId = (position: number): string => `${position}-0`;
