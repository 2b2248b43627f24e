import { newId, type SessionId, type UserId } from '@novacron/core';
import type { Viewer } from '@novacron/contracts';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createEventHub } from '../src/events/hub.ts';
import { createViewers } from '../src/viewers.ts';
import { MemoryEventLog } from './memory-event-log.ts';


/** Viewers over a log; the authenticator knows of no revocation. */
async function start(log: MemoryEventLog) {
  const viewer: Viewer = { userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: [] };
  const authenticator = { authenticate: async () => ({ viewer, issuedAt: new Date(), expiresAt: new Date(Date.now() + 60_000) }), jwks: async () => ({ keys: [] }) };
  const revoke = () => log.append({ type: 'session.revoked', tenantId: null, entityId: viewer.sessionId, after: { userId: viewer.userId } });
  const change = () => log.append({ type: 'user.access', tenantId: null, entityId: viewer.userId, after: {} });
  const open = async () => {
    const hub = await createEventHub(log, pino({ level: 'silent' }));
    const viewers = await createViewers(authenticator, hub, log);
    return { viewers, reach: async () => expect(await hub.reaches(await log.head(), 5_000)).toBe(true) };
  };
  return { open, revoke, change };
}

it.each([0, 1_200])('a session that was revoked %i events before the gateway started is refused', async (later) => {
  const log = new MemoryEventLog();
  const { open, revoke } = await start(log);
  revoke();
  for (let count = 0; count < later; count += 1) log.append({ type: 'user.access', tenantId: null, entityId: newId<UserId>(), after: {} });
  const { viewers } = await open();
  await expect(viewers.authenticate('token', null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

it('the log is read back no further than it is kept', async () => {
  const log = new MemoryEventLog();
  const { open, change } = await start(log);
  change();
  change();
  log.forgetUpTo(1);
  const { viewers } = await open();
  await expect(viewers.authenticate('token', null)).resolves.toMatchObject({ asked: 1 });
});

it.each(['revoke', 'change'] as const)('an answer is not current after a %s that came behind it', async (event) => {
  const log = new MemoryEventLog();
  const started = await start(log);
  const { viewers, reach } = await started.open();
  const answer = await viewers.authenticate('token', null);
  expect(viewers.isCurrent(answer)).toBe(true);
  started[event]();
  await reach();
  expect(viewers.isCurrent(answer)).toBe(false);
});
