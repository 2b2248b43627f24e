import type { Authenticator, Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { EventHub } from './events/hub.ts';

/** Who a token stands for, and until when. */
export interface Authenticated {
  viewer: Viewer;
  expiresAt: Date;
}

/**
 * Who access tokens stand for. Answers are kept for half a minute at most, and dropped at once when the log says that a
 * session has ended or that a user's roles have changed.
 */
export interface Viewers {
  /** UNAUTHENTICATED for a token that is no good (any more). */
  authenticate(accessToken: string): Promise<Authenticated>;
  /** True when the log said so in the last 20 minutes: longer than an access token lives. */
  isRevoked(sessionId: string): boolean;
  close(): void;
}

const KEPT_MS = 30_000;
const KEPT_TOKENS = 10_000;
const REVOKED_REMEMBERED_MS = 20 * 60_000;

interface Entry {
  answer: Promise<Authenticated>;
  askedAt: number;
}

/** Asks the authenticator, and listens for what makes its answers stale. */
export function createViewers(authenticator: Authenticator, hub: EventHub): Viewers {
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

  function ask(token: string): Entry {
    const entry: Entry = { answer: authenticator.authenticate(token), askedAt: ++asked };
    entries.delete(token);
    entries.set(token, entry);
    const drop = () => entries.get(token) === entry && entries.delete(token);
    const timer = setTimeout(drop, KEPT_MS);
    timer.unref();
    entry.answer.catch(() => {
      clearTimeout(timer);
      drop();
    });
    if (entries.size > KEPT_TOKENS) entries.delete(entries.keys().next().value ?? '');
    return entry;
  }

  async function authenticate(token: string): Promise<Authenticated> {
    const entry = entries.get(token) ?? ask(token);
    const answer = await entry.answer;
    const { userId, sessionId } = answer.viewer;
    if (revoked.has(sessionId)) {
      entries.delete(token);
      throw new DomainError('UNAUTHENTICATED', 'This session has ended: sign in again.');
    }
    if (answer.expiresAt.getTime() <= Date.now()) {
      entries.delete(token);
      throw new DomainError('UNAUTHENTICATED', 'This access token has expired: refresh the session.');
    }
    if (entry.askedAt > (changed.get(userId) ?? 0)) return answer;
    if (entries.get(token) === entry) entries.delete(token);
    return authenticate(token);
  }

  return {
    authenticate,
    isRevoked: (sessionId) => revoked.has(sessionId),
    close: () => stops.forEach((stop) => stop()),
  };
}
