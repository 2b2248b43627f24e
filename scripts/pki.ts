/**
 * npm run pki -- --dir DIR HOST[=address,...] ...: certificates for TLS between libvirt hosts, and to them, from an
 * authority of their own. Again with the same directory for more hosts, or for new certificates of old ones.
 */
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { LIBVIRT_SUBJECTS, LocalError, makePki, type PkiHost } from '@novacron/local';

const USAGE = 'npm run pki -- --dir DIR HOST[=address,...] ...   (as in: --dir /root/pki hv1=10.0.0.1,hv1.example.org hv2=10.0.0.2)';

const day = (date: Date): string => date.toISOString().slice(0, 10);

function toHost(text: string): PkiHost {
  const [name = '', ...rest] = text.split('=');
  const addresses = rest.join('=').split(',').filter((address) => address !== '');
  return { name, addresses };
}

function readArguments(): { dir: string; hosts: PkiHost[] } {
  try {
    const { values, positionals } = parseArgs({ options: { dir: { type: 'string' } }, allowPositionals: true });
    if (!values.dir) throw new LocalError('Where to?');
    return { dir: values.dir, hosts: positionals.map(toHost) };
  } catch (cause) {
    throw new LocalError(`${cause instanceof Error ? cause.message : String(cause)}\n${USAGE}`, { cause });
  }
}

async function main(): Promise<void> {
  const { dir, hosts } = readArguments();
  const pki = await makePki(dir, hosts);
  for (const { name, directory, endsAt } of pki.hosts) console.log(`${name}: ${directory}, good until ${day(endsAt)}`);
  console.log(`NovaCron: ${pki.client.directory}`);
  console.log(`The authority: ${pki.authority.cert}, good until ${day(pki.authority.endsAt)}`);
  console.log(`\nKeep ${pki.authority.key} to yourself: whoever has it can be any host.`);
  if (pki.hosts.length > 0) console.log(instructions(dirname(pki.hosts[0]!.directory), pki.hosts.map(({ name }) => name))); // there is one
  console.log(`\nOn a machine that runs NovaCron and is no host, what lies in ${pki.client.directory} belongs into /etc/pki.`);
}

const instructions = (directory: string, names: readonly string[]): string => `
Copy to the hosts, as root there (QEMU's user is libvirt-qemu on Debian and Ubuntu, qemu elsewhere):
  for host in ${names.join(' ')}; do
    tar -C ${directory}/$host -c . | ssh root@$host 'mkdir -p /etc/pki && tar -C /etc/pki -xp --no-same-owner && chown -R libvirt-qemu: /etc/pki/qemu'
  done
In /etc/libvirt/libvirtd.conf (QEMU's own certificate then opens no libvirtd):
  tls_allowed_dn_list = ["${LIBVIRT_SUBJECTS}"]
In /etc/libvirt/qemu.conf:
  default_tls_x509_cert_dir = "/etc/pki/qemu"
  default_tls_x509_verify = 1
Then let libvirtd listen on port 16514. With systemd:
  systemctl stop libvirtd && systemctl enable --now libvirtd-tls.socket && systemctl start libvirtd
without: listen_tls = 1 in libvirtd.conf, and libvirtd --listen.`;

main().catch((error: unknown) => {
  console.error(error instanceof LocalError ? error.message : error);
  process.exitCode = 1;
});
