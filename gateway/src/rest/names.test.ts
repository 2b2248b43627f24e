import { expect, it } from 'vitest';
import { kebab, plural, words } from './names.ts';

it.each([
  ['createVm', ['create', 'Vm']],
  ['setNicSecurityGroups', ['set', 'Nic', 'Security', 'Groups']],
  ['planVM', ['plan', 'VM']],
  ['readVMState', ['read', 'VM', 'State']],
  ['me', ['me']],
  ['_', ['_']],
])('the words of %s', (name, expected) => expect(words(name)).toEqual(expected));

it.each([
  ['SecurityGroup', 'security-group'],
  ['vms', 'vms'],
])('%s in an address is %s', (name, expected) => expect(kebab(name)).toBe(expected));

it.each([
  ['vm', 'vms'],
  ['policy', 'policies'],
  ['key', 'keys'],
  ['address', 'addresses'],
  ['switch', 'switches'],
])('many of %s are %s', (noun, expected) => expect(plural(noun)).toBe(expected));
