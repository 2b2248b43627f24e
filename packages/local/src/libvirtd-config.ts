import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, cpSync, existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { LocalError } from './progress.ts';

export interface Program {
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
}

/** What libvirtd has compiled in, and where it finds ours in its place. It has no option to move them. */
const DIRECTORIES = {
  etc: '/etc/libvirt',
  lib: '/var/lib/libvirt',
  cache: '/var/cache/libvirt',
  log: '/var/log/libvirt',
  run: '/run/libvirt',
} as const;

// libvirt's default of five requests would let four calls be in flight on our one connection.
// Source: libvirtd.conf, max_client_requests.
const daemonConfiguration = (hostUuid: string): string => `\
listen_tls = 0
listen_tcp = 0
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_rw_perms = "0700"
unix_sock_ro_perms = "0700"
unix_sock_admin_perms = "0700"
host_uuid = "${hostUuid}"
max_client_requests = 50
log_outputs = "3:stderr"
`;

/** QEMU's configuration; without virtlogd, libvirt writes consoles to files by itself. */
const qemuConfiguration = (user?: { name: string; group: string }, hideKvm = false): string =>
  [
    ...(user ? [`user = "${user.name}"`, `group = "${user.group}"`] : []),
    // libvirt builds a /dev for each guest by moving what is mounted in ours, and can't move the file over kvm
    ...(hideKvm ? ['namespaces = []'] : []),
    'seccomp_sandbox = 1',
    'stdio_handler = "file"',
    'vnc_listen = "127.0.0.1"',
    '',
  ].join('\n');

/** The directories of a private system libvirtd below `dir`; returns `dir`. */
export function preparePrivateDirectories(dir: string, hostUuid: string, hideKvm: boolean): string {
  for (const name of ['etc', 'lib', 'cache', 'log']) mkdirSync(join(dir, name), { recursive: true, mode: 0o755 });
  mkdirSync(join(dir, 'run'), { recursive: true, mode: 0o700 });
  chmodSync(join(dir, 'run'), 0o700); // the sockets are for root alone
  const filters = '/etc/libvirt/nwfilter';
  if (existsSync(filters)) cpSync(filters, join(dir, 'etc/nwfilter'), { recursive: true, force: false });
  writeFileSync(join(dir, 'etc/libvirtd.conf'), daemonConfiguration(hostUuid));
  writeFileSync(join(dir, 'etc/qemu.conf'), qemuConfiguration(qemuUser(), hideKvm));
  return dir;
}

/**
 * A /dev/kvm that QEMU's user may open but no guest can use makes libvirt throw away what it knows of QEMU and ask
 * again, for seconds, at every definition (libvirt, src/qemu/qemu_capabilities.c, virQEMUCapsIsValid). A file that
 * this user can't open stands for none.
 */
const HIDE_KVM = '[ ! -e /dev/kvm ] || { : > "$0/no-kvm"; chmod 000 "$0/no-kvm"; mount --bind "$0/no-kvm" /dev/kvm; }';

/**
 * libvirtd in a mount namespace of its own, with our directories in place of the system's. Mounts of the
 * machine (an NFS share mounted later) still arrive: the propagation is slave. Guests live on in the
 * namespace when libvirtd ends, and the next libvirtd, in a new one over the same directories, finds them.
 */
export function enterPrivateDirectories(dir: string, hideKvm: boolean): Program {
  const steps = Object.entries(DIRECTORIES).flatMap(([name, place]) => [
    `mkdir -p ${place}`,
    `mount --bind "$0/${name}" ${place}`,
  ]);
  if (hideKvm) steps.push(HIDE_KVM);
  const script = ['set -e', ...steps, 'exec "$@"'].join('\n');
  const daemon = reaped('libvirtd', '--pid-file', '/run/libvirt/libvirtd.pid');
  return {
    command: 'unshare',
    args: ['--mount', '--propagation', 'slave', 'sh', '-c', script, dir, ...daemon],
    env: { ...process.env, PATH: pathWithSbin() },
  };
}

/** libvirtd as an ordinary user, over XDG directories of our own. */
export function preparePrivateSession(dir: string, hostUuid: string): Program {
  const at = (name: string): string => join(dir, name);
  for (const name of ['config/libvirt', 'cache', 'data', 'run/libvirt']) {
    mkdirSync(at(name), { recursive: true, mode: 0o700 });
  }
  writeFileSync(at('config/libvirt/libvirtd.conf'), daemonConfiguration(hostUuid));
  writeFileSync(at('config/libvirt/qemu.conf'), qemuConfiguration());
  const [command = '', ...args] = reaped('libvirtd', '--pid-file', at('run/libvirtd.pid'));
  return {
    command,
    args,
    env: {
      ...process.env,
      PATH: pathWithSbin(),
      XDG_CONFIG_HOME: join(shortLink(dir), 'config'),
      XDG_CACHE_HOME: at('cache'),
      XDG_DATA_HOME: at('data'),
      XDG_RUNTIME_DIR: at('run'),
    },
  };
}

/**
 * The same directory under a short name. A session's libvirtd keeps its guests' sockets far below XDG_CONFIG_HOME, and a
 * socket's path has room for 107 bytes (unix(7)): from a home directory it would not fit.
 */
function shortLink(dir: string): string {
  const user = process.getuid?.() ?? 0;
  const parent = [`/run/user/${user}`, '/tmp'].find((place) => isWritable(place)) ?? '/tmp';
  const link = join(parent, `nc-${user}-${createHash('sha256').update(dir).digest('hex').slice(0, 6)}`);
  try {
    symlinkSync(dir, link);
  } catch (error) {
    const isOurs = (error as NodeJS.ErrnoException).code === 'EEXIST' && lstatSync(link).uid === user && readlinkSync(link) === dir;
    if (!isOurs) throw new LocalError(`${link} is in the way: it should lead to ${dir}.`);
  }
  return link;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** See subreaper.pl. Perl is on every Debian and Ubuntu (perl-base is essential); elsewhere it goes without. */
const reaped = (...program: string[]): string[] =>
  existsSync('/usr/bin/perl') ? ['/usr/bin/perl', join(import.meta.dirname, 'subreaper.pl'), ...program] : program;

/** Ordinary users' PATH lacks the directory that holds libvirtd. */
const pathWithSbin = (): string => [process.env['PATH'] ?? '/usr/bin:/bin', '/usr/sbin', '/sbin'].join(delimiter);

/** The unprivileged user that the distribution made for QEMU: Debian and Ubuntu, then the others. */
function qemuUser(): { name: string; group: string } {
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
  const groups = readFileSync('/etc/group', 'utf8').split('\n').map((line) => line.split(':'));
  for (const name of ['libvirt-qemu', 'qemu']) {
    const account = accounts.find(([login]) => login === name);
    const group = groups.find(([, , gid]) => gid !== undefined && gid === account?.[3])?.[0];
    if (account && group) return { name, group };
  }
  throw new LocalError(
    'There is no user libvirt-qemu for guests to run as, and NovaCron never runs them as root: apt-get install libvirt-daemon-system.',
  );
}
