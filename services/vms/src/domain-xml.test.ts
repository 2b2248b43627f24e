import type { TenantId, VmId } from '@novacron/core';
import { XMLParser } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';
import { defineXml, type DomainSpec } from './domain-xml.ts';

const BOOT = { kernel: '/boot/vmlinuz', initrd: null, cmdline: null };
const SPEC: DomainSpec = {
  vmId: '01a1f850-0000-7000-8000-000000000001' as VmId, // ids of a test
  tenantId: '01a1f850-0000-7000-8000-000000000002' as TenantId,
  name: 'web-1',
  vcpus: 2,
  memory: 128 * 2 ** 20,
  boot: BOOT,
  devices: [],
  accelerated: false,
  setsOwners: true,
};
const parse = (xml: string) => new XMLParser({ ignoreAttributes: false }).parse(xml, true) as { domain: Record<string, unknown> & { os: Record<string, unknown> } };

describe('a domain', () => {
  it('is named and numbered after its VM, with the name as its title and the tenant in its metadata', () => {
    const { domain } = parse(defineXml(SPEC).xml);
    expect(domain).toMatchObject({ name: `nc-${SPEC.vmId}`, uuid: SPEC.vmId, title: 'web-1', '@_type': 'qemu' });
    expect(domain['metadata']).toMatchObject({ 'nc:vm': { '@_tenant': SPEC.tenantId } });
    expect(domain.os).toMatchObject({ kernel: '/boot/vmlinuz', cmdline: 'console=ttyS0' });
  });

  it('takes what it is given as text', () => {
    const boot = { kernel: '/boot/a&b<c>"d', initrd: "/boot/'i", cmdline: ']]></cmdline><x a="1">' };
    const { domain } = parse(defineXml({ ...SPEC, boot }).xml);
    expect(domain.os['kernel']).toBe(boot.kernel);
    expect(domain.os['initrd']).toBe(boot.initrd);
    expect(domain.os['cmdline']).toBe(boot.cmdline);
  });

  it('is set apart by all but its name', () => {
    const { fingerprint } = defineXml(SPEC);
    expect(defineXml(SPEC).xml).toContain(fingerprint);
    expect(defineXml({ ...SPEC, name: 'renamed' }).fingerprint).toBe(fingerprint);
    for (const other of [{ vcpus: 3 }, { memory: 2 ** 30 }, { accelerated: true }, { setsOwners: false }, { boot: { ...BOOT, initrd: '/boot/i' } }, { boot: null }]) {
      expect(defineXml({ ...SPEC, ...other }).fingerprint).not.toBe(fingerprint);
    }
  });

  it('leaves files to their owners where libvirt would take them', () => {
    expect(defineXml(SPEC).xml).toContain("<seclabel type='none' model='dac'/>");
    expect(defineXml({ ...SPEC, setsOwners: false }).xml).not.toContain('seclabel');
  });
});
