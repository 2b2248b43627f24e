import type { Authenticator, Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { EventLog } from '@novacron/events';
import type { EventHub } from './events/hub.ts';
import type { LivingSessions } from './living-sessions.ts';

/** Who a token stands for, and until when. */
export interface Authenticated {
  viewer: Viewer;
  issuedAt: Date;
  expiresAt: Date;
  /** Which question this answers, counted: what the log says later makes the answer stale. */
  asked: number;
}

/**
 * Who access tokens stand for. Answers are kept for half a minute at most, and dropped at once when the log says that a
 * session has ended or that a user's roles have changed. Redis is asked, too, whether the session lives: while it does not
 * say, only tokens of the last minute are taken (docs/adr/0026).
 */
export interface Viewers {
  /** UNAUTHENTICATED for a token that is no good (any more), or not from the client's address; UNAVAILABLE where nobody can tell. */
  authenticate(token: string, address: string | null): Promise<Authenticated>;
  /** Is there an answer about this token? Else somebody has to be asked. */
  knows(token: string, address: string | null): boolean;
  /**
   * False once the log has said that the session ended (in the last 20 minutes: longer than an access token lives) or
   * that its user's roles changed. Whoever keeps an answer asks this at once: an event may come between.
   */
  isCurrent(answer: Authenticated): boolean;
  close(): void;
}

const KEPT_MS = 30_000;
const KEPT_TOKENS = 10_000;
/** How long Redis' word is good that a session lives. */
const LIVES_MS = 250;
/** Tokens up to this age are taken while Redis says nothing. */
const YOUNG_MS = 60_000;
const REVOKED_REMEMBERED_MS = 20 * 60_000;

/** How far back the log is read at the start: a fleet's 20 minutes of events, but no minute of waiting. */
const RECALLED = { batches: 40, events: 500 } as const;

interface Entry {
  answer: Promise<Authenticated>;
  /** When Redis said last that the session lives. */
  livedAt: number;
}

/** An API token may be good from one address and not from another. */
const keyOf = (token: string, address: string | null): string => `${token} ${address}`;

/** Asks the authenticator, and listens for what makes its answers stale; what the log said before is read back first. */
export async function createViewers(authenticator: Authenticator, hub: EventHub, log: EventLog, living: LivingSessions): Promise<Viewers> {
  const entries = new Map<string, Entry>();
  /** Session or user -> when its end or its change was heard of; in the order of hearing. */
  const revoked = new Map<string, number>();
  /** By user: answers that were asked for before this are about roles of the past. */
  const changed = new Map<string, number>();
  let asked = 0; // counts questions, since two of them can fall into one millisecond

  function remember(heard: Map<string, number>, id: string, mark: number): void {
    heard.delete(id);
    heard.set(id, mark);
  }

  function forgetRevoked(): void {
    const oldest = Date.now() - REVOKED_REMEMBERED_MS;
    for (const [id, at] of revoked) {
      if (at >= oldest) return;
      revoked.delete(id);
    }
  }

  const stops = [
    hub.listen('session', null, (event) => {
      forgetRevoked();
      remember(revoked, event.entityId, Date.now());
    }),
    hub.listen('user', null, (event) => {
      remember(changed, event.entityId, asked);
      if (changed.size > KEPT_TOKENS) changed.delete(changed.keys().next().value ?? '');
    }),
  ];

  /** Sessions that ended before this process listened, newest first. */
  async function recall(): Promise<void> {
    const oldest = Date.now() - REVOKED_REMEMBERED_MS;
    for (let batch = 0, end = hub.position; batch < RECALLED.batches && end > 0; batch += 1) {
      const start = Math.max(0, end - RECALLED.events);
      const events = await log.read(start, end - start);
      for (const { type, entityId } of events) if (type === 'session.revoked') remember(revoked, entityId, Date.now());
      const first = events[0];
      if (first === undefined || Date.parse(first.at) < oldest) return;
      end = start;
    }
  }
  await recall().catch((error: unknown) => {
    if (DomainError.from(error).code === 'CURSOR_EXPIRED') return; // no further back than the log is kept
    stops.forEach((stop) => stop());
    throw error;
  });

  function ask(key: string, token: string, address: string | null): Entry {
    const question = ++asked;
    const entry: Entry = { livedAt: 0, answer: authenticator.authenticate(token, address).then((answer) => ({ ...answer, asked: question })) };
    entries.delete(key);
    entries.set(key, entry);
    const drop = () => entries.get(key) === entry && entries.delete(key);
    const timer = setTimeout(drop, KEPT_MS);
    timer.unref();
    entry.answer.catch(() => {
      clearTimeout(timer);
      drop();
    });
    if (entries.size > KEPT_TOKENS) entries.delete(entries.keys().next().value ?? '');
    return entry;
  }

  /** Hears from Redis whether the session has ended. UNAVAILABLE for an old token while it does not say. */
  async function hear(entry: Entry, { viewer: { sessionId }, issuedAt }: Authenticated): Promise<void> {
    try {
      if (await living.hasEnded(sessionId)) remember(revoked, sessionId, Date.now());
      entry.livedAt = Date.now();
    } catch (cause) {
      if (Date.now() - issuedAt.getTime() <= YOUNG_MS) return;
      throw new DomainError('UNAVAILABLE', 'Nobody can tell right now whether this session has ended: try again.', { cause });
    }
  }

  const isCurrent = ({ viewer, asked: question }: Authenticated): boolean =>
    !revoked.has(viewer.sessionId) && question > (changed.get(viewer.userId) ?? 0);

  async function authenticate(token: string, address: string | null): Promise<Authenticated> {
    const key = keyOf(token, address);
    const entry = entries.get(key) ?? ask(key, token, address);
    const answer = await entry.answer;
    if (Date.now() - entry.livedAt > LIVES_MS) await hear(entry, answer);
    if (revoked.has(answer.viewer.sessionId)) {
      entries.delete(key);
      throw new DomainError('UNAUTHENTICATED', 'This session has ended: sign in again.');
    }
    if (answer.expiresAt.getTime() <= Date.now()) {
      entries.delete(key);
      throw new DomainError('UNAUTHENTICATED', 'This access token has expired: refresh the session.');
    }
    if (isCurrent(answer)) return answer;
    if (entries.get(key) === entry) entries.delete(key);
    return authenticate(token, address);
  }

  return {
    authenticate,
    knows: (token, address) => entries.has(keyOf(token, address)),
    isCurrent,
    close: () => stops.forEach((stop) => stop()),
  };
}
