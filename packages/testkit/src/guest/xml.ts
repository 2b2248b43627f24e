import type { Guest } from './guest.ts';

export interface GuestXmlOptions {
  name: string;
  uuid?: string;
  memoryMiB?: number;
  /** Added to the kernel's command line: "nova.poweroff=2". */
  cmdline?: string;
  /** Receives what the guest prints; a path as the host's QEMU sees it. */
  serialLog?: string;
  /** More elements of <devices>. */
  devices?: string;
}

/** A domain that boots the test guest under TCG with as little memory as will do. */
export function guestXml(guest: Guest, options: GuestXmlOptions): string {
  const { name, uuid, memoryMiB = 96, cmdline = '', serialLog, devices = '' } = options;
  return `\
<domain type='qemu'>
  <name>${name}</name>
  ${uuid === undefined ? '' : `<uuid>${uuid}</uuid>`}
  <memory unit='MiB'>${memoryMiB}</memory>
  <vcpu>1</vcpu>
  <cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model></cpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>${guest.kernel}</kernel>
    <initrd>${guest.initrd}</initrd>
    <cmdline>${guest.cmdline} ${cmdline}</cmdline>
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
    ${devices}
  </devices>
</domain>
`;
}
