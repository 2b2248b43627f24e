import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, testRun } from '@novacron/testkit';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, ConnectionLost, DeadlineExceeded, parseUri, type SshAddress } from '../src/index.ts';
import { connectBySsh, sshArguments } from '../src/ssh-socket.ts';
import { failure } from './fake-daemon.ts';

const URI = 'qemu+ssh://ada@hv1/system';
const addressOf = (uri: string): SshAddress => parseUri(uri) as SshAddress; // all of them are, here

/** A program in ssh's place: what ssh itself does is in network.test.ts. */
describe('a connection by ssh', () => {
  afterEach(() => vi.unstubAllEnvs());

  async function standIn(script: string): Promise<{ pidFile: string }> {
    const dir = (await testRun()).makeDirectory('ssh');
    const pidFile = join(dir, 'pid');
    writeFileSync(join(dir, 'ssh'), `#!/bin/sh\necho $$ >${pidFile}\n${script}\n`);
    chmodSync(join(dir, 'ssh'), 0o755);
    vi.stubEnv('PATH', `${dir}:${process.env['PATH']}`);
    return { pidFile };
  }

  const isGone = (pidFile: string): boolean => !existsSync(`/proc/${readFileSync(pidFile, 'utf8').trim()}`);

  it('gives ssh options, --, the host and one command', () => {
    const all = sshArguments(addressOf("qemu+ssh://ada@[fd00::1]:2222/system?keyfile=/keys/id&socket=/run/it's"));
    expect(all.slice(0, -1)).toEqual(['-T', '-o', 'BatchMode=yes', '-i', '/keys/id', '-p', '2222', '--', 'ada@fd00::1']);
    expect(all.at(-1)).toMatch(/^'sh' '-c' '[^']+' 'sh' '\/run\/it'\\''s' 'qemu:\/\/\/system'$/);
    expect(sshArguments(addressOf('qemu+ssh://hv1/system')).slice(0, -1)).toEqual(['-T', '-o', 'BatchMode=yes', '--', 'hv1']);
  });

  it('carries bytes both ways, and ends when ssh does', async () => {
    const { pidFile } = await standIn('exec head -c 300000');
    const pipe = await connectBySsh(addressOf(URI), { deadlineMs: 5_000 });
    const sent = Buffer.alloc(300_000, 'libvirt');
    pipe.write(sent);
    const chunks: Buffer[] = [];
    for await (const chunk of pipe) chunks.push(chunk as Buffer); // no encoding was set
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    await eventually('the end of ssh', () => isGone(pidFile));
  });

  it('fails with ssh’s own words', async () => {
    await standIn('echo "ada@hv1: Permission denied (publickey)." >&2; exit 255');
    const error = await failure(connect({ uri: URI }));
    expect(error).toMatchObject({ kind: 'connection-lost', reason: { kind: 'socket', message: 'ssh to ada@hv1: ada@hv1: Permission denied (publickey).' } });
    await standIn('kill -9 $$');
    expect(await failure(connect({ uri: URI }))).toMatchObject({ reason: { message: 'ssh to ada@hv1: it ended with SIGKILL' } });
  });

  it('fails where there is no ssh', async () => {
    vi.stubEnv('PATH', '/nowhere');
    const error = await failure(connect({ uri: URI }));
    expect(error).toBeInstanceOf(ConnectionLost);
    expect(error).toMatchObject({ reason: { message: 'ssh to ada@hv1: spawn ssh ENOENT' } });
  });

  it.each([
    ['listens', ''],
    ['does not listen', "trap '' TERM PIPE"],
  ])('ends an ssh that %s when the deadline has passed', async (_how, trap) => {
    const { pidFile } = await standIn(`${trap}\nwhile :; do sleep 0.1; done`);
    expect(await failure(connect({ uri: URI, defaultDeadlineMs: 300 }))).toBeInstanceOf(DeadlineExceeded);
    await eventually('the end of ssh', () => isGone(pidFile));
  });

  it('can be aborted', async () => {
    const { pidFile } = await standIn('exec sleep 60');
    const abort = new AbortController();
    const attempt = failure(connect({ uri: URI, signal: abort.signal }));
    await eventually('ssh', () => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '');
    abort.abort(new Error('enough'));
    expect(await attempt).toMatchObject({ message: 'enough' });
    await eventually('the end of ssh', () => isGone(pidFile));
  });
});
