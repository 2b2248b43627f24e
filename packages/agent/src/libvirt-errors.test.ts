import { DomainError } from '@novacron/core';
import { ERROR_CODE, LibvirtError } from '@novacron/libvirt';
import { expect, it } from 'vitest';
import { fromLibvirt } from './libvirt-errors.ts';

const said = (message: string, code: number = ERROR_CODE.OPERATION_FAILED): LibvirtError => new LibvirtError('DOMAIN_CREATE_WITH_FLAGS', { code, domain: 10, level: 2, message });

it.each([
  ["unable to connect to server at 'hv2.example.net:49152': Connection refused", 'unable to connect to server at [address]: Connection refused'],
  ["unable to resolve address 'hv2' service '49152': Name or service not known", "unable to resolve address [address] service '49152': Name or service not known"],
  ['Failed to connect to remote libvirt URI qemu+tls://hv2/system?pkipath=/etc/pki: timed out', 'Failed to connect to remote libvirt URI [address] timed out'],
  ['internal error: connection to 10.0.0.2:49152 was reset', 'internal error: connection to [address] was reset'],
  ['no route to 192.168.7.1.', 'no route to [address].'],
  ['no route to [fd00::7]:49152', 'no route to [address]'],
  ["could not connect to 'hv2:16514'", "could not connect to '[address]'"],
  ['error from hv2.example.net:16514: no certificate', 'error from [address]: no certificate'],
  ['Certificate owner does not match the hostname hv2.example.net', 'Certificate owner does not match the hostname [address]'],
  ["Cannot access storage file '/var/lib/libvirt/images/a.qcow2' (as uid:64055, gid:64055): Permission denied", "Cannot access storage file '[path]' (as uid:64055, gid:64055): Permission denied"],
])('does not say where things are: %s', (message, told) => {
  expect(fromLibvirt(said(message)).message).toBe(`The hypervisor refused: ${told}`);
});

it.each([
  'Domain not found: no domain with matching uuid 01a1f9af-76ef-7dad-8a2e-ecf232ab2ef7 (nc-web)',
  'no device with MAC address 52:54:00:12:34:56 found',
  'PCI device 0000:00:02.0 is in use',
  'unsupported configuration: CPU mode host-passthrough is not supported: 2 of 16 features, QEMU 7.2.19',
  "target vda already exists, 10/12 slots, and/or 'x'",
])('says what is wrong: %s', (message) => {
  expect(fromLibvirt(said(message)).message).toBe(`The hypervisor refused: ${message}`);
});

it('keeps all of it for the log', () => {
  const error = said('no /dev/kvm on 10.0.0.2', ERROR_CODE.XML_ERROR);
  expect(fromLibvirt(error)).toMatchObject({ code: 'BAD_USER_INPUT', cause: error });
});

it('leaves alone what is the domain\'s already', () => {
  const error = new DomainError('BAD_USER_INPUT', 'There is no /boot/vmlinuz.', { field: 'kernel.kernel' });
  expect(fromLibvirt(error)).toBe(error);
});
