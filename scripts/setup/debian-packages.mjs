import { accessSync, chmodSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, step } from './steps.mjs';

const system = process.arch === 'arm64' ? 'aarch64' : 'x86_64';

/** Programs, and the packages that bring them on Debian 12 and Ubuntu 24.04. */
const NEEDED = [
  { program: `qemu-system-${system}`, packages: [process.arch === 'arm64' ? 'qemu-system-arm' : 'qemu-system-x86'] },
  { program: 'qemu-img', packages: ['qemu-utils'] },
  { program: 'libvirtd', packages: ['libvirt-daemon', 'libvirt-daemon-system'] },
  { program: 'virsh', packages: ['libvirt-clients'] },
  { program: 'ip', packages: ['iproute2'] }, // overlays
  { program: 'dnsmasq', packages: ['dnsmasq-base'] }, // libvirt's networks: leases, and NAT
  { program: 'iptables', packages: ['iptables'] },
  { program: 'redis-server', packages: ['redis-server'] },
  { program: 'ssh', packages: ['openssh-client'] }, // libvirt on other machines, qemu+ssh://
  { program: 'openssl', packages: ['openssl'] }, // npm run pki
];

const NEEDED_BY_GUEST = [
  { program: 'busybox', packages: ['busybox-static'] },
  { program: 'cpio', packages: ['cpio'] },
];

const NEEDED_BY_TESTS = [
  { program: 'genisoimage', packages: ['genisoimage'] }, // seeds
  { program: 'sshd', packages: ['openssh-server'] },
  { program: 'nc', packages: ['netcat-openbsd'] },
  { program: 'chromium', packages: ['chromium'] },
];

/** Images and containers: npm run test:full builds deploy/Dockerfile and starts deploy/compose. */
const NEEDED_BY_CONTAINERS = [
  { program: 'mmdebstrap', packages: ['mmdebstrap', 'debian-archive-keyring'] },
  { program: 'buildah', packages: ['buildah'] },
  { program: 'podman', packages: ['podman'] },
  { program: 'crun', packages: ['crun'] },
  { program: 'netavark', directory: '/usr/lib/podman', packages: ['netavark'] },
  { program: 'aardvark-dns', directory: '/usr/lib/podman', packages: ['aardvark-dns'] },
  { program: 'docker-compose', packages: ['docker-compose'] },
];

/** What a person should know who goes on without them. */
const WITHOUT =
  'Without redis-server, NovaCron needs REDIS_URL; without QEMU and libvirt, this machine cannot be a host itself.';

const PATH = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];

function isInstalled({ program, directory }) {
  return (directory ? [directory] : PATH).some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Installs what is missing where that is allowed (root and apt), else says how. */
export async function installDebianPackages({ withTests, withGuest, withContainers }) {
  const wanted = [...NEEDED, ...(withGuest ? NEEDED_BY_GUEST : []), ...(withTests ? NEEDED_BY_TESTS : []), ...(withContainers ? NEEDED_BY_CONTAINERS : [])];
  const missing = wanted.filter((need) => !isInstalled(need));
  if (missing.length === 0) return;
  const packages = missing.flatMap((need) => need.packages);
  const install = ['install', '-y', '-q', '--no-install-recommends', ...packages];
  const hasApt = isInstalled({ program: 'apt-get' });
  if (process.getuid() !== 0 || !hasApt) {
    console.log(`- Missing programs: ${missing.map((need) => need.program).join(', ')}. Install them with:`);
    console.log(hasApt ? `    sudo apt-get ${install.join(' ')}` : `    your package manager (Debian: ${packages.join(' ')})`);
    console.log(`  ${WITHOUT}`);
    return;
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await step('Reading the package lists', () => run('apt-get', ['update', '-q'], { env }));
  const ok = await step(`Installing ${packages.join(' ')}`, () => withServicesHeld(() => run('apt-get', install, { env })));
  const absent = missing.filter((need) => !isInstalled(need)).map((need) => need.program);
  if (!ok || absent.length > 0) {
    console.error(`  Still missing: ${absent.join(', ') || 'nothing'}. To try by hand: apt-get ${install.join(' ')}`);
    console.error(`  ${WITHOUT}`);
    return;
  }
  // We want their programs: not a second Redis on TCP port 6379 from the next boot on, nor a machine that can be logged in to.
  const unwanted = [...(packages.includes('redis-server') ? ['redis-server'] : []), ...(packages.includes('openssh-server') ? ['ssh.service', 'ssh.socket'] : [])];
  if (unwanted.length > 0 && hasSystemd()) {
    await run('systemctl', ['disable', ...unwanted]).catch((error) => console.error(`  ${error.message}`));
  }
}

const hasSystemd = () => existsSync('/run/systemd/system');

/**
 * Debian starts a service as soon as its package is installed, unless policy-rc.d says no (exit 101; see
 * https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt). The services of Redis and
 * sshd are never wanted; libvirt's is, where systemd looks after it. A policy that is already there stays as it is.
 */
async function withServicesHeld(work) {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return work();
  const denied = hasSystemd() ? 'redis*|ssh*' : '*';
  writeFileSync(policy, `#!/bin/sh\n# NovaCron's setup installs packages; removed when it is done.\ncase "$1" in ${denied}) exit 101 ;; esac\nexit 0\n`);
  chmodSync(policy, 0o755);
  const remove = () => rmSync(policy, { force: true });
  process.once('exit', remove);
  const interrupted = () => process.exit(130); // 128 + SIGINT, as a shell says it
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    return await work();
  } finally {
    remove();
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}
