import { describe, expect, it } from 'vitest';
import type { Role, Viewer } from '@novacron/contracts';
import { DomainError, type SessionId, type TenantId, type UserId } from '@novacron/core';
import type { UserRecord } from '../visibility.ts';
import { requireMay, stateOf, type Verb } from './rules.ts';

const [ACME, GLOBEX] = ['acme' as TenantId, 'globex' as TenantId];
const AT = new Date('2026-11-20T09:00:00Z');
const viewer = (id: string, ...roles: [Role, TenantId][]): Viewer => ({
  userId: id as UserId,
  sessionId: 'session' as SessionId,
  roles: roles.map(([role, tenantId]) => ({ role, tenantId })),
});
const user = (id: string, changes: Partial<UserRecord>, ...roles: [Role, TenantId][]): UserRecord => ({
  ...{ id: id as UserId, email: `${id}@example.org`, name: id, username: null, kind: 'person', emailVerified: false },
  ...{ createdAt: AT, invitedAt: null, deactivatedAt: null, deletedAt: null },
  roles: roles.map(([role, tenantId]) => ({ role, tenantId })),
  ...changes,
});

const ASKERS: Record<string, Viewer | null> = {
  nobody: null,
  admin: viewer('admin', ['platform_admin', GLOBEX]),
  boss: viewer('boss', ['tenant_admin', ACME]),
  operator: viewer('operator', ['operator', ACME]),
  auditor: viewer('auditor', ['auditor', ACME]),
  rival: viewer('rival', ['tenant_admin', GLOBEX]),
  'boss of both': viewer('boss', ['tenant_admin', ACME], ['tenant_admin', GLOBEX]),
  'boss and guest': viewer('boss', ['tenant_admin', ACME], ['viewer', GLOBEX]),
  'the token of an admin': { ...viewer('admin', ['platform_admin', ACME]), scopes: ['user:update', 'user:read'] },
  'an admin who owes a code': { ...viewer('admin'), owes: 'second_factor' },
};

const USERS: Record<string, UserRecord> = {
  member: user('member', {}, ['viewer', ACME]),
  'member of both': user('both', {}, ['viewer', ACME], ['viewer', GLOBEX]),
  'platform administrator': user('platform', {}, ['platform_admin', ACME]),
  'administrator who is a guest': user('platform', {}, ['viewer', ACME], ['platform_admin', GLOBEX]),
  newcomer: user('newcomer', {}),
};

const outcome = (verb: Verb, of: UserRecord, by: Viewer | null): string => {
  try {
    expect(requireMay(verb, of, by)).toBe(of);
    return 'ok';
  } catch (error) {
    if (error instanceof DomainError) return error.code;
    throw error;
  }
};

describe('who may change whom', () => {
  it.each([
    ['nobody', 'member', 'UNAUTHENTICATED'],
    ['admin', 'member', 'ok'],
    ['admin', 'member of both', 'ok'],
    ['admin', 'platform administrator', 'ok'],
    ['admin', 'newcomer', 'ok'],
    ['boss', 'member', 'ok'],
    ['boss', 'member of both', 'FORBIDDEN'],
    ['boss', 'platform administrator', 'FORBIDDEN'],
    ['boss', 'administrator who is a guest', 'FORBIDDEN'],
    ['boss', 'newcomer', 'NOT_FOUND'],
    ['operator', 'member', 'FORBIDDEN'],
    ['auditor', 'member', 'FORBIDDEN'],
    ['rival', 'member', 'NOT_FOUND'],
    ['rival', 'member of both', 'FORBIDDEN'],
    ['boss of both', 'member of both', 'ok'],
    ['boss and guest', 'member of both', 'FORBIDDEN'],
    ['boss of both', 'administrator who is a guest', 'FORBIDDEN'],
    ['the token of an admin', 'member', 'FORBIDDEN'],
    ['an admin who owes a code', 'member', 'NOT_FOUND'],
  ])('%s, a %s: %s', (by, of, expected) => {
    for (const verb of ['update', 'deactivate', 'forcePasswordReset', 'endSessions'] as const) expect(outcome(verb, USERS[of]!, ASKERS[by] ?? null)).toBe(expected); // they are above
    const isPlatforms = expected === 'ok' && by !== 'admin';
    expect(outcome('delete', USERS[of]!, ASKERS[by] ?? null)).toBe(isPlatforms ? 'FORBIDDEN' : expected);
  });
});

describe('in which state', () => {
  const STATES = {
    ACTIVE: {},
    INVITED: { invitedAt: AT },
    DEACTIVATED: { deactivatedAt: AT },
    'invited, then DEACTIVATED': { invitedAt: AT, deactivatedAt: AT },
    DELETED: { deactivatedAt: AT, deletedAt: AT },
  };
  const bad = 'INVALID_STATE';

  it.each([
    ['ACTIVE', ['ok', 'ok', bad, 'ok', 'ok', 'ok']],
    ['INVITED', ['ok', 'ok', bad, bad, 'ok', 'ok']],
    ['DEACTIVATED', ['ok', bad, 'ok', bad, 'ok', 'ok']],
    ['invited, then DEACTIVATED', ['ok', bad, 'ok', bad, 'ok', 'ok']],
    ['DELETED', Array(6).fill('NOT_FOUND')],
  ] as const)('%s', (state, expected) => {
    const one = user('member', STATES[state], ['viewer', ACME]);
    expect(state).toContain(stateOf(one));
    const verbs = ['update', 'deactivate', 'reactivate', 'forcePasswordReset', 'endSessions', 'delete'] as const;
    expect(verbs.map((verb) => outcome(verb, one, ASKERS['admin'] ?? null))).toEqual(expected);
  });

  it('nobody keeps itself out, and no service account has a password', () => {
    const own = user('admin', {}, ['platform_admin', ACME]);
    for (const verb of ['deactivate', 'forcePasswordReset', 'delete'] as const) expect(outcome(verb, own, ASKERS['admin'] ?? null)).toBe(bad);
    for (const verb of ['update', 'endSessions'] as const) expect(outcome(verb, own, ASKERS['admin'] ?? null)).toBe('ok');
    expect(outcome('forcePasswordReset', user('robot', { kind: 'service' }, ['operator', ACME]), ASKERS['admin'] ?? null)).toBe(bad);
  });
});
