import { describe, expect, it } from 'vitest';
import type { Role, Viewer } from '@novacron/contracts';
import { DomainError, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { QUOTA_RESOURCES } from '@novacron/operations';
import {
  normalizeEmail,
  parseEmail,
  parseName,
  parsePassword,
  parseQuota,
  parseRole,
  parseSearch,
  parseTenantName,
  parseUsername,
  requireMayChange,
  requireMayGrant,
} from './rules.ts';

const bad = (field: string) => expect.objectContaining({ code: 'BAD_USER_INPUT', field });

describe('an e-mail address', () => {
  it.each([
    ['a@b', 'a@b'],
    [' Ada.Lovelace+x@Example.ORG ', 'ada.lovelace+x@example.org'],
    ['admin@localhost', 'admin@localhost'],
    [`${'a'.repeat(64)}@example.org`, `${'a'.repeat(64)}@example.org`],
  ])('%j is %j', (text, email) => expect(parseEmail(text)).toBe(email));

  it.each([
    '', 'a', '@b', 'a@', 'a b@c.d', 'a@b@c', 'a@-b.c', 'a@b-.c', 'a@b..c', 'a@b\u0000', 'a@b\n.c', 'ä@b.c', '\u212A@b.c',
    `${'a'.repeat(65)}@b.c`, `a@${'b'.repeat(64)}.c`, `a@${'b.'.repeat(130)}c`,
  ])('%j is none', (text) => {
    expect(normalizeEmail(text)).toBeNull();
    expect(() => parseEmail(text)).toThrow(bad('email'));
  });
});

describe('a user name', () => {
  it.each([
    ['ada', 'ada'],
    [' Ada.King_1-x ', 'ada.king_1-x'],
    ['a'.repeat(32), 'a'.repeat(32)],
  ])('%j is %j', (text, username) => expect(parseUsername(text)).toBe(username));

  it.each(['', 'ab', '1ab', '-ab', 'a b', 'a@b', 'ad\u0131', '\u212Aate', 'abc\n.', 'a'.repeat(33)])('%j is none', (text) => {
    expect(() => parseUsername(text)).toThrow(bad('username'));
  });
});

describe('a name', () => {
  it.each([
    ['x', 'x'],
    ['  Ada King ', 'Ada King'],
    ["Þór O'Neill-Ünal 3", "Þór O'Neill-Ünal 3"],
    ['e\u0301', '\u00e9'],
    ['名'.repeat(100), '名'.repeat(100)],
    ['🦊'.repeat(100), '🦊'.repeat(100)],
  ])('%j is %j', (text, name) => expect(parseName(text)).toBe(name));

  it.each(['', '   ', 'a\u0000b', 'a\nb', 'a\tb', '\u202Eabc', 'a\u200Bb', '\uD800', 'a'.repeat(101)])('%j is none', (text) => {
    expect(() => parseName(text)).toThrow(bad('name'));
  });
});

describe("a tenant's name", () => {
  it.each(['a', '0', 'default', 'team-7', 'a'.repeat(63)])('%j is one', (text) => expect(parseTenantName(text)).toBe(text));
  it.each(['', ' ', 'A', 'a b', 'a_b', 'ä', 'a\n', 'a'.repeat(64)])('%j is none', (text) => {
    expect(() => parseTenantName(text)).toThrow(bad('name'));
  });
});

describe('a password', () => {
  it.each(['k3j5h2l9', ' '.repeat(8), 'x'.repeat(256)])('%j is one', (text) => expect(parsePassword(text)).toBe(text));
  it.each(['', '1234567', 'x'.repeat(257)])('%j is none', (text) => expect(() => parsePassword(text)).toThrow(bad('password')));
  it('is none of the common ones, nor the name of its account', () => {
    expect(() => parsePassword('Password1')).toThrow(bad('password'));
    expect(() => parsePassword('ada-lovelace', ['ada@example.org', 'Ada Lovelace'], 'newPassword')).toThrow(bad('newPassword'));
  });
});

describe('a search', () => {
  it.each([
    [undefined, null],
    [null, null],
    ['', null],
    ['  ', null],
    [' ada ', 'ada'],
    ['50%_\\', '50%_\\'],
  ])('%j looks for %j', (text, search) => expect(parseSearch(text)).toBe(search));
  it.each(['a\u0000', 'a'.repeat(101)])('%j is none', (text) => expect(() => parseSearch(text)).toThrow(bad('filter.search')));
});

describe('a role', () => {
  it.each([
    ['platform_admin', 'platform_admin'],
    ['Platform-Admin', 'platform_admin'],
    [' TENANT ADMIN ', 'tenant_admin'],
    ['admin', 'tenant_admin'],
    ['Admin', 'tenant_admin'],
    ['OPERATOR', 'operator'],
    ['viewer', 'viewer'],
  ])('%j is %s', (text, role) => expect(parseRole(text)).toBe(role));

  it.each(['', 'root', 'platformadmin', 'viewer_', '__proto__', 'constructor'])('%j is none', (text) => {
    expect(() => parseRole(text)).toThrow(bad('role'));
    expect(() => parseRole(text)).toThrow('platform_admin, tenant_admin, operator, auditor, viewer');
  });
});

describe('a quota', () => {
  it.each([
    [undefined, {}],
    [null, {}],
    [{}, {}],
    [{ vms: 0, vcpus: null, memory: 1024, storage: undefined }, { vms: 0, vcpus: null, memory: 1024 }],
    [{ storage: 2 ** 50, snapshots: 1, networks: 2, operationsInFlight: 3, more: 4 }, { storage: 2 ** 50, snapshots: 1, networks: 2, operationsInFlight: 3 }],
  ])('%j is %j', (input, quota) => expect(parseQuota(input)).toEqual(quota));
  it.each(QUOTA_RESOURCES)('has no negative %s', (resource) => {
    expect(() => parseQuota({ [resource]: -1 })).toThrow(bad(`quota.${resource}`));
  });
});

describe('who may give and take a role', () => {
  const viewer = (role: Role): Viewer => ({
    userId: 'u' as UserId, // ids only for the compiler
    sessionId: 's' as SessionId,
    roles: [{ role, tenantId: 't' as TenantId }],
  });
  const codeOf = (check: () => void): string | null => {
    try {
      check();
      return null;
    } catch (error) {
      return error instanceof DomainError && error.field === 'role' ? error.code : String(error);
    }
  };

  it('leaves platform_admin to platform administrators', () => {
    expect(codeOf(() => requireMayGrant(viewer('tenant_admin'), 'platform_admin'))).toBe('FORBIDDEN');
    expect(codeOf(() => requireMayGrant(viewer('platform_admin'), 'platform_admin'))).toBeNull();
    expect(codeOf(() => requireMayGrant(viewer('tenant_admin'), 'tenant_admin'))).toBeNull();
  });

  it.each<[Role, Role | null, Role, boolean, string | null]>([
    ['tenant_admin', null, 'viewer', true, null],
    ['tenant_admin', 'viewer', 'tenant_admin', true, null],
    ['tenant_admin', 'tenant_admin', 'viewer', true, null],
    ['tenant_admin', 'viewer', 'platform_admin', true, 'FORBIDDEN'],
    ['tenant_admin', 'platform_admin', 'viewer', true, 'FORBIDDEN'],
    ['tenant_admin', 'platform_admin', 'viewer', false, 'FORBIDDEN'],
    ['platform_admin', 'viewer', 'platform_admin', true, null],
    ['platform_admin', 'platform_admin', 'viewer', true, null],
    ['platform_admin', 'platform_admin', 'viewer', false, 'INVALID_STATE'],
    ['platform_admin', 'platform_admin', 'platform_admin', false, null],
  ])('%s turns %s into %s (others administer: %s): %s', (by, from, to, othersAdminister, code) => {
    expect(codeOf(() => requireMayChange(viewer(by), { from, to, othersAdminister }))).toBe(code);
  });
});

it('reads what is as long as a request without going back and forth in it', () => {
  const long = 250_000;
  const texts = ['a'.repeat(long), `${'a'.repeat(long)}@`, `a@${'a-'.repeat(long / 2)}`, `a@${'a.'.repeat(long / 2)}!`, ' '.repeat(long), `${' -_'.repeat(long / 3)}x`, 'ä'.repeat(long), '\u0000'.repeat(long)];
  const parsers = [normalizeEmail, parseEmail, parseName, parsePassword, parseRole, parseSearch, parseTenantName, parseUsername];
  const faults: unknown[] = [];
  const before = process.cpuUsage();
  for (const parse of parsers) {
    for (const text of texts) {
      try {
        parse(text);
      } catch (error) {
        faults.push(error);
      }
    }
  }
  expect(process.cpuUsage(before).user / 1_000).toBeLessThan(2_000); // some 50 ms; to go back and forth would take hours
  expect(faults.filter((fault) => !(fault instanceof DomainError))).toEqual([]);
});
