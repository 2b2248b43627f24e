import type { Guest } from './guest.ts';

export interface GuestXmlOptions {
  name: string;
  uuid?: string;
  /** 96, and 128 for a disk, unless told. */
  memoryMiB?: number;
  /** Added to the kernel's command line: "nova.poweroff=2". A disk brings its own. */
  cmdline?: string;
  /** Receives what the guest prints; a path as the host's QEMU sees it. */
  serialLog?: string;
  /** More elements of <devices>. */
  devices?: string;
}

/** What a domain boots from: a kernel, or a qcow2 disk (made on top of bootImage()'s, say), which is vda. */
export type BootSource = Guest | { disk: string };

/** A domain that boots under TCG with as little memory as will do. */
export function guestXml(source: BootSource, options: GuestXmlOptions): string {
  const { name, uuid, memoryMiB = 'disk' in source ? 128 : 96, cmdline = '', serialLog, devices = '' } = options;
  return `\
<domain type='qemu'>
  <name>${name}</name>
  ${uuid === undefined ? '' : `<uuid>${uuid}</uuid>`}
  <memory unit='MiB'>${memoryMiB}</memory>
  <vcpu>1</vcpu>
  <cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model></cpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    ${'disk' in source ? "<boot dev='hd'/>" : kernelXml(source, cmdline)}
  </os>
  <features><acpi/><apic/><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features>
  <clock offset='utc'><timer name='hpet' present='no'/></clock>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='no'/></pm>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <serial type='pty'>${serialLog === undefined ? '' : `<log file='${serialLog}' append='off'/>`}</serial>
    <memballoon model='virtio'/>
    ${'disk' in source ? diskXml(source.disk) : ''}
    ${devices}
  </devices>
</domain>
`;
}

const kernelXml = ({ kernel, initrd, cmdline }: Guest, more: string): string =>
  `<kernel>${kernel}</kernel><initrd>${initrd}</initrd><cmdline>${cmdline} ${more}</cmdline>`;

const diskXml = (path: string): string =>
  `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${path}'/><target dev='vda' bus='virtio'/></disk>`;
