import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, guest, GUEST_UP, guestXml } from '@novacron/testkit';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connect } from '../src/index.ts';
import { useHost } from './private-host.ts';

const run = promisify(execFile);
const examples = join(import.meta.dirname, '../examples');
const names = readdirSync(examples).filter((name) => name.endsWith('.ts'));

describe('the examples', () => {
  const host = useHost();

  /** Starts an example; it ends with the test. */
  function start(name: string, ...args: string[]): { child: ChildProcess; said: () => string } {
    const child = spawn(process.execPath, [join(examples, name), host().uri, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    return { child, said: () => text };
  }

  it('are the ones of the README', () => {
    const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
    expect(names.filter((name) => !readme.includes(readFileSync(join(examples, name), 'utf8')))).toEqual([]);
  });

  it('list-domains', async () => {
    const uri = `test+unix:///default?socket=${host().socketPath}`;
    const { stdout } = await run(process.execPath, [join(examples, 'list-domains.ts'), uri]);
    expect(stdout).toMatch(new RegExp(`^libvirt \\d+\\.\\d+\\.\\d+ on ${host().name}\ntest: running \\(unknown\\)\n$`));
  });

  it('handle-errors', async () => {
    const { stdout } = await run(process.execPath, [join(examples, 'handle-errors.ts'), host().uri]);
    expect(stdout).toBe('There is no such domain.\n');
  });

  it('upload-volume', async () => {
    await host().virsh('pool-create-as', 'images', 'dir', '--build', '--target', '/var/lib/libvirt/images');
    const file = join(import.meta.dirname, '../README.md');
    const { stdout } = await run(process.execPath, [join(examples, 'upload-volume.ts'), host().uri, 'images', 'readme', file]);
    const content = readFileSync(file, 'utf8');
    expect(stdout).toBe(`/var/lib/libvirt/images/readme has ${Buffer.byteLength(content)} bytes\n`);
    expect(await host().exec('cat', '/var/lib/libvirt/images/readme')).toBe(content.trim());
  });

  it('follow-events', async () => {
    const { child, said } = start('follow-events.ts');
    await eventually('the connection', () => said().includes('connected; 0 running'));
    const connection = await connect({ uri: host().uri });
    onTestFinished(() => connection.close());
    await connection.domains.undefine(await connection.domains.define(guestXml(await guest(), { name: 'example' })));
    await eventually('the events', () => said().includes('example defined (added)\nexample undefined (removed)\n'));
    await host().killDaemon();
    await eventually('the loss', () => said().includes('lost: the daemon ended it'));
    await host().startDaemon();
    await eventually('the new connection', () => said().split('connected;').length === 3);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
  });

  it('console', async () => {
    const connection = await connect({ uri: host().uri });
    onTestFinished(() => connection.close());
    const domain = await connection.domains.createXml(guestXml(await guest(), { name: 'talker' }), { paused: true });
    const { child, said } = start('console.ts', 'talker');
    await eventually('the console to be open, then the guest', async () => {
      if ((await connection.domains.state(domain)).state === 'paused') await connection.domains.resume(domain);
      return said().includes(GUEST_UP) || said().includes('/ #');
    }, { timeoutMs: 30_000 });
    child.stdin?.write('poweroff -f\n');
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
  });
});
