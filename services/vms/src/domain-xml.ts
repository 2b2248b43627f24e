import { createHash } from 'node:crypto';
import { DOMAIN_METADATA_URI, domainName, type Device } from '@novacron/contracts';
import type { TenantId, VmId } from '@novacron/core';
import type { KernelBoot } from './boot-files.ts';
import { deviceXml } from './device-xml.ts';
import { text } from './xml-text.ts';

/** What a domain is made of. */
export interface DomainSpec {
  vmId: VmId;
  tenantId: TenantId;
  name: string;
  vcpus: number;
  /** Bytes, in whole MiB. */
  memory: number;
  /** What it boots directly; null: from its disks. */
  boot: KernelBoot | null;
  /** In their order: a guest finds them where it found them before. */
  devices: readonly Device[];
  /** KVM, or plain emulation (TCG). */
  accelerated: boolean;
  /** Does the host's libvirt set owners of files (DAC)? One without root does not. */
  setsOwners: boolean;
}

/** A definition, with what tells it from any other of the same VM. */
export interface Definition {
  xml: string;
  /** Written into the domain's metadata: a domain that has it needs no defining. */
  fingerprint: string;
}

/** What is plugged in while the guest runs needs a free PCIe port, and those can't be added then (https://libvirt.org/pci-hotplug.html). */
const SPARE_PORTS = 8;
const PORT = "\n    <controller type='pci' model='pcie-root-port'/>";

const bootXml = ({ kernel, initrd, cmdline }: KernelBoot): string => `
    <kernel>${text(kernel)}</kernel>${initrd === null ? '' : `\n    <initrd>${text(initrd)}</initrd>`}
    <cmdline>${text(cmdline ?? 'console=ttyS0')}</cmdline>`;

/**
 * The domain's definition (https://libvirt.org/formatdomain.html).
 *
 * `seclabel none` for DAC: libvirt otherwise changes the owner of kernel and initrd while the guest runs, and they
 * are not ours; volumes belong to QEMU's user from the start. It leaves the user that QEMU runs as alone: that is the daemon's own configuration.
 */
export function defineXml({ vmId, tenantId, name, vcpus, memory, boot, devices, accelerated, setsOwners }: DomainSpec): Definition {
  const machine = `<memory unit='b'>${memory}</memory>
  <vcpu placement='static'>${vcpus}</vcpu>
  <cpu mode='${accelerated ? 'host-model' : 'maximum'}'/>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>${boot === null ? '' : bootXml(boot)}
  </os>
  <features><acpi/><apic/></features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <controller type='usb' model='none'/>
    <controller type='pci' index='0' model='pcie-root'/>${PORT.repeat(devices.length + SPARE_PORTS)}
    <serial type='pty'><target port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <memballoon model='virtio'><stats period='5'/></memballoon>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <panic model='isa'/>${devices.map((device) => `\n    ${deviceXml(device)}`).join('')}
  </devices>${setsOwners ? "\n  <seclabel type='none' model='dac'/>" : ''}`;
  const type = accelerated ? 'kvm' : 'qemu';
  // the name is not in it: a rename reaches the host by itself
  const fingerprint = createHash('sha256').update(`${type} ${tenantId} ${machine}`).digest('hex').slice(0, 32);
  return {
    fingerprint,
    xml: `<domain type='${type}'>
  <name>${domainName(vmId)}</name>
  <uuid>${vmId}</uuid>
  <title>${text(name)}</title>
  <metadata><nc:vm xmlns:nc='${DOMAIN_METADATA_URI}' tenant='${text(tenantId)}' definition='${fingerprint}'/></metadata>
  ${machine}
</domain>
`,
  };
}
