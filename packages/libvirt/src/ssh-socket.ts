import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { type DialOptions, whenReady } from './socket-ready.ts';
import type { SshAddress } from './uri.ts';

/** How long ssh may take to end when it is told to. */
const END_MS = 2_000;
/** How much of what ssh says is kept. */
const SAID_MOST = 2_048;

/**
 * Run by sh on the other machine, with the socket's path (or nothing) and the driver's URI. As libvirt
 * does it: its own helper, which knows where the socket is; netcat, where there is no helper or the
 * path is given. Debian's netcat needs -q0 to end when we do.
 * Source: libvirt 9.0.0 src/rpc/virnetclient.c, virNetClientSSHHelperCommand.
 */
const RELAY = `\
if [ -z "$1" ] && command -v virt-ssh-helper >/dev/null; then exec virt-ssh-helper "$2"; fi
if nc -q 2>&1 | grep -q "requires an argument"; then quit=-q0; else quit=; fi
exec nc $quit -U "\${1:-/var/run/libvirt/libvirt-sock}"`;

/**
 * A daemon's socket on another machine, through ssh(1) and its configuration: keys, known hosts,
 * jumps. ssh never asks anything. Resolves when ssh runs; that it could not log in, or found no daemon,
 * ends the stream with an error that has ssh's own words.
 */
export function connectBySsh(address: SshAddress, options: DialOptions): Promise<Duplex> {
  const { host, port, user } = address;
  const where = `ssh to ${user === undefined ? '' : `${user}@`}${host}${port === undefined ? '' : ` port ${port}`}`;
  const child = spawn('ssh', sshArguments(address), { stdio: 'pipe' });
  const pipe = new SshPipe(child, where);
  return whenReady(pipe, where, options, (done) => child.once('spawn', done));
}

export function sshArguments({ host, port, user, keyfile, socketPath, driverUri }: SshAddress): string[] {
  return [
    ...['-T', '-o', 'BatchMode=yes'],
    ...(keyfile === undefined ? [] : ['-i', keyfile]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...['--', user === undefined ? host : `${user}@${host}`],
    // One argument: ssh joins them with spaces, and the user's shell over there takes them apart.
    ['sh', '-c', RELAY, 'sh', socketPath ?? '', driverUri].map(quote).join(' '),
  ];
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** The two pipes of one ssh as one stream; it is closed when ssh has ended, and ssh ends when it is destroyed. */
class SshPipe extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;
  #said = '';

  constructor(child: ChildProcessWithoutNullStreams, where: string) {
    super();
    this.#child = child;
    child.stdout.on('data', (chunk: Buffer) => this.push(chunk) || child.stdout.pause());
    child.stderr.on('data', (chunk: Buffer) => (this.#said = `${this.#said}${chunk}`.slice(-SAID_MOST)));
    child.stdin.on('error', () => undefined); // ssh has ended: 'close' tells why
    child.once('error', (error) => this.destroy(error)); // it could not be run
    child.once('close', (code, signal) => {
      if (code === 0) this.push(null);
      else this.destroy(new Error(`${where}: ${this.#said.trim() || `it ended with ${code === null ? signal : `status ${code}`}`}`));
    });
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#child.stdin.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.#child.stdin.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const child = this.#child;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return done(error);
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      done(error);
    });
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    child.kill();
  }
}
