import { authorization, hasCode, send, type GraphAnswer } from './graph.ts';

/** Who is signed in in this browser. Kept in localStorage: it survives reloads, is every tab's, and ends with a sign-out. */
export interface Session {
  accessToken: string;
  refreshToken?: string;
  expiresAt?: string;
  user?: { name: string; email: string; isPlatformAdmin: boolean };
}

const STORAGE_KEY = 'novacron.session';
const REFRESH = 'mutation Refresh($token: String!) { refreshSession(refreshToken: $token) { accessToken refreshToken expiresAt } }';
/** A refresh is due when about this share of the token's life is over, not at the same moment in every tab, but never more often than this. */
const refreshAtShare = () => 0.7 + Math.random() * 0.15;
const REFRESH_MIN_MS = 15_000;
/** setTimeout overflows past 2^31 - 1 ms and fires at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

let session: Session | null = restore();
let refreshTimer: ReturnType<typeof setTimeout> | undefined;
let refreshing: Promise<void> | undefined;
const listeners = new Set<() => void>();

function restore(): Session | null {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY) ?? 'null');
  } catch {
    return null; // nothing that we wrote
  }
}

export const currentSession = (): Session | null => session;

/** Calls back after each change; answers how to stop that. */
export function onSessionChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function change(next: Session | null): void {
  if (next === null) localStorage.removeItem(STORAGE_KEY);
  else localStorage.setItem(STORAGE_KEY, JSON.stringify(next));
  adopt(next);
}

/** Goes on with what is stored, by this tab or by another. */
function adopt(next: Session | null): void {
  session = next;
  scheduleRefresh();
  for (const listener of listeners) listener();
}

addEventListener('storage', ({ key }) => {
  if (key === STORAGE_KEY || key === null) adopt(restore());
});

function scheduleRefresh(): void {
  clearTimeout(refreshTimer);
  if (session?.refreshToken === undefined) return;
  // Without expiresAt (the mutation did not ask for it) the life is unknown: a refresh tells.
  const lifeMs = session.expiresAt === undefined ? 0 : Date.parse(session.expiresAt) - Date.now();
  const delayMs = Math.min(Math.max(lifeMs * refreshAtShare(), REFRESH_MIN_MS), TIMER_MAX_MS);
  refreshTimer = setTimeout(() => void refresh(), delayMs);
}

/**
 * Trades the refresh token for new tokens; signs out when it is no longer taken. One tab at a time, since a token that comes a
 * second time ends the session. Browsers have locks over HTTPS and on localhost alone: elsewhere tabs only try not to meet.
 */
export function refresh(): Promise<void> {
  const alone = (): Promise<void> => ('locks' in navigator ? navigator.locks.request(STORAGE_KEY, tradeRefreshToken) : tradeRefreshToken());
  return (refreshing ??= alone().finally(() => (refreshing = undefined)));
}

async function tradeRefreshToken(): Promise<void> {
  const stored = restore();
  if (stored?.refreshToken !== session?.refreshToken) return adopt(stored); // another tab was faster
  const token = session?.refreshToken;
  if (token === undefined) return change(null);
  try {
    const answer = await send({ query: REFRESH, variables: { token } }, {});
    if (!noticeTokens(answer) && hasCode(answer, 'UNAUTHENTICATED')) change(null);
    else if (answer.errors) scheduleRefresh();
  } catch {
    scheduleRefresh(); // the gateway is away: the session may well outlive that
  }
}

/**
 * Reads an answer for what changes the session: tokens (login, refreshSession, whatever the field's alias) or
 * a logout. True when there were tokens in it.
 */
export function noticeTokens(answer: GraphAnswer): boolean {
  if (answer.data?.['logout'] === true) change(null);
  for (const payload of Object.values(answer.data ?? {})) {
    const { accessToken, refreshToken, expiresAt } = (payload ?? {}) as Partial<Session>; // whatever the answer holds, checked next
    if (typeof accessToken !== 'string') continue;
    change({
      ...(session?.user && { user: session.user }),
      accessToken,
      ...(refreshToken && { refreshToken }),
      ...(expiresAt && { expiresAt }),
    });
    void learnUser(accessToken);
    return true;
  }
  return false;
}

/** Whose token this is: the mutation may not have asked. */
async function learnUser(accessToken: string): Promise<void> {
  const answer = await send({ query: '{ me { name email roles { role } } }' }, authorization(accessToken)).catch(() => null);
  const me = answer?.data?.['me'] as { name: string; email: string; roles: { role: string }[] } | null | undefined; // as the query above asks for it
  if (!me || session?.accessToken !== accessToken) return;
  const { name, email, roles } = me;
  change({ ...session, user: { name, email, isPlatformAdmin: roles.some(({ role }) => role === 'platform_admin') } });
}

/** Ends the session at the gateway, and here even when the gateway can't be reached. */
export async function signOut(): Promise<void> {
  const headers = authorization(session?.accessToken);
  change(null);
  await send({ query: 'mutation SignOut { logout }' }, headers).catch(() => null);
}

if (session !== null) scheduleRefresh();
