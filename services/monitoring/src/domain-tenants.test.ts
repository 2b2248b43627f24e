import { newId } from '@novacron/core';
import { describe, expect, it } from 'vitest';
import { isOurs, parseTenant } from './domain-tenants.ts';

const id = newId<string>();

describe('isOurs', () => {
  it.each([
    ['named after its UUID', `nc-${id}`, true],
    ['any other name', 'web-1', false],
    ['the name of another', `nc-${newId<string>()}`, false],
  ])('%s', (_name, name, expected) => {
    expect(isOurs({ name, uuid: id, id: -1 })).toBe(expected);
  });
});

describe('parseTenant', () => {
  it.each([
    ['as libvirt prints it', `<vm tenant="${id}"/>`, id],
    ['as it was written', `<nc:vm xmlns:nc='urn:novacron:domain:1' tenant='${id}'/>`, id],
    ['in capitals', `<vm tenant="${id.toUpperCase()}"/>`, id],
    ['without a tenant', '<vm/>', null],
    ['with a tenant that is none', '<vm tenant="x"/>', null],
    ['with an attribute that only ends so', `<vm not-tenant="${id}"/>`, null],
    ['nothing', '', null],
  ])('%s', (_name, metadata, expected) => {
    expect(parseTenant(metadata)).toBe(expected);
  });
});
