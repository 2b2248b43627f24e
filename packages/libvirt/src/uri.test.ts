import { afterEach, describe, expect, it, vi } from 'vitest';
import { InvalidRequest, Unsupported } from './errors.ts';
import { parseUri } from './uri.ts';

describe('parseUri', () => {
  afterEach(() => vi.unstubAllEnvs());

  it.each([
    ['qemu+unix:///system?socket=/tmp/a%20b', 'qemu:///system', '/tmp/a b'],
    ['qemu:///system?socket=/x', 'qemu:///system', '/x'],
    ['test+unix:///default?socket=/x', 'test:///default', '/x'],
    ['test:///etc/node.xml?socket=/x&mode=legacy', 'test:///etc/node.xml', '/x'],
    ['lxc:///?socket=/x', 'lxc:///', '/x'],
    ['qemu:///system?socket=/x&other=1', 'qemu:///system?other=1', '/x'],
  ])('%s', (uri, driverUri, socketPath) => {
    expect(parseUri(uri)).toEqual({ transport: 'unix', driverUri, socketPath });
  });

  it('finds the daemons’ own sockets', () => {
    vi.stubEnv('XDG_RUNTIME_DIR', '/run/user/1000');
    expect(parseUri('qemu:///system').socketPath).toMatch(/^(\/var)?\/run\/libvirt\/libvirt-sock$/);
    expect(parseUri('qemu:///session').socketPath).toBe('/run/user/1000/libvirt/libvirt-sock');
  });

  it('needs to know the user’s runtime directory for a session', () => {
    vi.stubEnv('XDG_RUNTIME_DIR', '');
    expect(() => parseUri('qemu:///session')).toThrow(InvalidRequest);
  });

  it.each(['qemu+tcp://host/system', 'qemu+tls://host/system', 'qemu+ssh://root@host/system', 'qemu://host/system'])(
    'does not do %s',
    (uri) => expect(() => parseUri(uri)).toThrow(Unsupported),
  );

  it.each(['', 'qemu', 'qemu:/system', '/run/libvirt/libvirt-sock', 'qemu+pigeon:///system', 'qemu+unix://host/system'])(
    'refuses %j',
    (uri) => expect(() => parseUri(uri)).toThrow(InvalidRequest),
  );
});
