import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { makePki } from '@novacron/local';
import { type LibvirtHosts, startLibvirtHosts, type TestHost, testRun } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PkiFiles } from '../src/index.ts';
import type { Outcome } from './connect-once.ts';

describe('libvirtd on another host', () => {
  let all: LibvirtHosts;
  let one: TestHost;
  let ours: PkiFiles;

  beforeAll(async () => {
    all = await startLibvirtHosts(2, { tls: true });
    one = all.hosts[0]!; // two were asked for
    ours = all.pki!; // there is one with TLS
  });
  afterAll(() => all?.stop());

  /** From hv1, as the hosts' network is not routed from here. */
  const connectFrom = async (uri: string, pki?: PkiFiles): Promise<Outcome> => {
    const program = join(import.meta.dirname, 'connect-once.ts');
    const files = pki ? [pki.ca, pki.cert, pki.key] : [];
    return JSON.parse(await one.exec(process.execPath, program, uri, ...files)) as Outcome; // as that program writes it
  };
  const lost = (message: string | RegExp) => ({ refused: 'connection-lost', message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message) });

  describe('by TCP', () => {
    it.each(['qemu+tcp://hv2/system', 'qemu+tcp://10.77.0.2:16509/system'])('%s', async (uri) => {
      expect(await connectFrom(uri)).toEqual({ connected: 'hv2 qemu:///system' });
    });

    it('where nobody listens', async () => {
      expect(await connectFrom('qemu+tcp://hv2:9/system')).toMatchObject(lost('TCP to hv2 port 9: connect ECONNREFUSED'));
    });
  });

  describe('by TLS', () => {
    it.each(['qemu+tls://hv2/system', 'qemu://hv2/system', 'qemu+tls://10.77.0.2/system', 'qemu+tls://hv1:16514/system'])('%s', async (uri) => {
      expect(await connectFrom(uri, ours)).toEqual({ connected: `${uri.includes('hv1') ? 'hv1' : 'hv2'} qemu:///system` });
    });

    it('with the files that the host itself has', async () => {
      expect(await connectFrom('qemu+tls://hv2/system')).toEqual({ connected: 'hv2 qemu:///system' });
    });

    it('by a name that is not in its certificate', async () => {
      expect(await connectFrom('qemu+tls://localhost/system', ours)).toMatchObject(lost("localhost. is not in the cert's altnames: DNS:hv1, IP Address:10.77.0.1"));
    });

    it('to the port for TCP', async () => {
      expect(await connectFrom('qemu+tls://hv2:16509/system', ours)).toMatchObject(lost(/TLS to hv2 port 16509: .*(ECONNRESET|does not speak TLS|disconnected)/));
    });

    it('by TCP to the port for TLS', async () => {
      expect(await connectFrom('qemu+tcp://hv2:16514/system')).toMatchObject(lost(/ECONNRESET|the daemon ended it/));
    });

    it('with a certificate of another authority, or with another authority’s word about the host', async () => {
      const dir = (await testRun()).makeDirectory('foreign');
      const { client } = await makePki(dir, []);
      expect(await connectFrom('qemu+tls://hv2/system', { ...client, ca: ours.ca })).toMatchObject(lost('it does not take our certificate'));
      expect(await connectFrom('qemu+tls://hv2/system', { ...ours, ca: client.ca })).toMatchObject(lost('unable to verify the first certificate'));
    });

    it('with a certificate of ours that has expired', async () => {
      const dir = (await testRun()).makeDirectory('expired');
      cpSync(join(all.pki!.directory, '..'), dir, { recursive: true }); // the same authority
      const { client } = await makePki(dir, [], { days: -1 });
      expect(await connectFrom('qemu+tls://hv2/system', client)).toMatchObject(lost('it does not take our certificate'));
    });

    it('with the certificate of a host’s QEMU', async () => {
      const [cert, key] = ['/etc/pki/qemu/client-cert.pem', '/etc/pki/qemu/client-key.pem'] as const;
      expect(await connectFrom('qemu+tls://hv2/system', { ca: ours.ca, cert, key })).toMatchObject(lost('it does not take our certificate'));
    });

    it('without a certificate', async () => {
      expect(await connectFrom('qemu+tls://hv2/system', { ...ours, cert: '/nowhere' })).toMatchObject(lost("our certificate can't be read: ENOENT"));
    });
  });

  describe('by ssh', () => {
    const ID = 'keyfile=/etc/ssh/id';
    const PORT = 2222;

    beforeAll(async () => {
      // In this host's namespaces only: keys, known hosts and an sshd of its own.
      await one.exec('sh', '-ec', `
        mount -t tmpfs ssh /etc/ssh
        mkdir -p /run/sshd
        cd /etc/ssh
        for key in host id stranger; do ssh-keygen -q -t ed25519 -N '' -f $key; done
        cp id.pub allowed
        echo "[127.0.0.1]:${PORT} $(cat host.pub)" >ssh_known_hosts
        printf '%s\\n' 'UsePAM no' 'StrictModes no' 'ListenAddress 127.0.0.1' 'Port ${PORT}' 'HostKey /etc/ssh/host' 'AuthorizedKeysFile /etc/ssh/allowed' >sshd_config
        /usr/sbin/sshd -f /etc/ssh/sshd_config -E /etc/ssh/log`);
    });

    it('with libvirt’s helper', async () => {
      expect(await connectFrom(`qemu+ssh://root@127.0.0.1:${PORT}/system?${ID}`)).toEqual({ connected: 'hv1 qemu:///system' });
    });

    it('with netcat, where the socket is named or there is no helper', async () => {
      const named = `qemu+ssh://root@127.0.0.1:${PORT}/system?${ID}&socket=/run/libvirt/libvirt-sock`;
      expect(await connectFrom(named)).toEqual({ connected: 'hv1 qemu:///system' });
      await one.exec('mount', '--bind', '/dev/null', '/usr/bin/virt-ssh-helper');
      expect(await connectFrom(`qemu+ssh://root@127.0.0.1:${PORT}/system?${ID}`)).toEqual({ connected: 'hv1 qemu:///system' });
      await one.exec('umount', '/usr/bin/virt-ssh-helper');
    });

    it.each([
      ['a key that is not let in', `qemu+ssh://root@127.0.0.1:${PORT}/system?keyfile=/etc/ssh/stranger`, 'Permission denied'],
      ['a host whose key is not known', `qemu+ssh://root@localhost:${PORT}/system?${ID}`, 'Host key verification failed'],
      ['a port where nobody listens', 'qemu+ssh://root@127.0.0.1:9/system', 'Connection refused'],
      ['a socket that is not there', `qemu+ssh://root@127.0.0.1:${PORT}/system?${ID}&socket=/run/no'where $(id)`.replaceAll(' ', '%20'), "nc: /run/no'where $(id): No such file or directory"],
    ])('with %s', async (_what, uri, words) => {
      expect(await connectFrom(uri)).toMatchObject(lost(words));
    });

    it('leaves nothing running', async () => {
      const rest = await one.exec('sh', '-c', 'for pid in /proc/[0-9]*; do cat $pid/comm 2>/dev/null; done | grep -xE "ssh|nc|virt-ssh-helper" || true');
      expect(rest).toBe('');
    });
  });
});
