import { createHash } from 'node:crypto';
import { newId, DomainError, networkOf } from '@novacron/core';
import { postgresPool, type ServiceRole } from '@novacron/database';
import { fromDatabase } from '@novacron/operations';
import type { Logger } from 'pino';
import { legible, type Asker, type Deed, type Ending } from './entry.ts';
import { createWriter, type Line } from './writer.ts';

/** A deed that is in the audit and has not ended. */
export interface Begun {
  /** Says how it ended; `known`: what only its end could tell. Waits for nobody. */
  end(ending: Ending, known?: Partial<Deed & Asker>): void;
}

/** Where one service's entries go. */
export interface AuditTrail {
  /** Makes durable that this has begun, before it does. UNAVAILABLE where nobody can write it down: then it must not be done. */
  begin(asker: Asker, deed: Deed): Promise<Begun>;
  /** Somebody was refused. Waits for nobody; those that are alike are counted. */
  refused(asker: Asker, deed: Deed, ending: Ending): void;
  /** Writes what has been said. Idempotent. */
  close(): Promise<void>;
}

export interface AuditTrailOptions {
  /** The owner's URL, or the one of the service's own role. */
  databaseUrl: string;
  service: ServiceRole;
  logger: Logger;
}

/** How long a query may take until whoever begins something is told that it can't: a mutation has ten seconds altogether. */
const PATIENCE_MS = 5_000;

/** Writes in batches, over one connection: however many mutations begin at once, one statement makes all of them durable. */
export function createAuditTrail({ databaseUrl, service, logger }: AuditTrailOptions): AuditTrail {
  const pool = postgresPool(databaseUrl, service, 2, PATIENCE_MS); // one for what begins, which somebody waits for; one for the rest
  const writer = (statement: string) => async (lines: readonly Line[]): Promise<void> => {
    await pool.query(statement, [JSON.stringify(lines)]);
  };
  const beginnings = createWriter({ write: writer('SELECT operations.write_audit($1::jsonb)'), isPatient: false, logger });
  // no wait for the disk: what a crash of PostgreSQL takes of the last moments is UNKNOWN then
  const endings = createWriter({ write: writer("SELECT set_config('synchronous_commit', 'off', true), operations.write_audit($1::jsonb)"), isPatient: true, logger });
  let closing: Promise<void> | undefined;

  return {
    async begin(asker, deed) {
      const id = newId<string>();
      const entry = { ...asker, ...deed };
      try {
        await beginnings.add({ id, ended: false, entry: present(entry) });
      } catch (error) {
        throw unwritten(error);
      }
      return {
        end(ending, known = {}) {
          const whole = { ...present(known), ...present(entry), ...ending };
          const isRefusal = ending.outcome === 'FAILED' || ending.outcome === 'DENIED';
          endings.post({ id, ended: true, entry: present(whole), ...(isRefusal ? likeness(whole) : {}) });
        },
      };
    },
    refused(asker, deed, ending) {
      const entry = { ...asker, ...deed, ...ending };
      endings.post({ id: newId(), ended: true, entry: present(entry), ...likeness(entry) }, { joins: true });
    },
    close() {
      closing ??= Promise.all([beginnings.close(), endings.close()]).then(() => pool.end());
      return closing;
    },
  };
}

const unwritten = (error: unknown): DomainError => {
  const cause = fromDatabase(error);
  return new DomainError('UNAVAILABLE', 'Nothing is changed that can not be written into the audit log: try again.', { cause });
};

const present = <Entry extends object>(entry: Entry): Partial<Entry> =>
  Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== null && value !== undefined)) as Partial<Entry>; // some of its own

/** Refusals are alike that differ in nothing but when they were asked for. `origin`: who asks, or from where; a whole network of IPv6 is one place. */
function likeness(entry: Partial<Asker & Deed & Ending>): { key: string; origin: string } {
  const { action, outcome, code, userId, credentialId, address, targetId, arguments: given } = entry;
  const network = networkOf(address ?? null);
  const alike = JSON.stringify([action, outcome, code, userId, credentialId, network, targetId, given]);
  return { key: createHash('sha256').update(alike).digest('base64url'), origin: legible(userId ?? network) };
}
