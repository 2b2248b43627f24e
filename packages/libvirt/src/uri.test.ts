import { afterEach, describe, expect, it, vi } from 'vitest';
import { InvalidRequest, Unsupported } from './errors.ts';
import { parseUri } from './uri.ts';

const system = { driverUri: 'qemu:///system' };
const unix = (socketPath: string) => ({ transport: 'unix', socketPath });

describe('parseUri', () => {
  afterEach(() => vi.unstubAllEnvs());

  it.each([
    ['qemu+unix:///system?socket=/tmp/a%20b', { ...system, ...unix('/tmp/a b') }],
    ['qemu:///system?socket=/x', { ...system, ...unix('/x') }],
    ['qemu:///system?socket=/x&host=rack1', { driverUri: 'qemu:///system?host=rack1', ...unix('/x') }],
    ['test+unix:///default?socket=/x', { driverUri: 'test:///default', ...unix('/x') }],
    ['test:///etc/node.xml?socket=/x', { driverUri: 'test:///etc/node.xml', ...unix('/x') }],
    ['lxc:///?socket=/x', { driverUri: 'lxc:///', ...unix('/x') }],

    ['qemu+tcp://hv1/system', { ...system, transport: 'tcp', host: 'hv1', port: 16_509 }],
    ['qemu+tcp://10.0.0.1:99/system', { ...system, transport: 'tcp', host: '10.0.0.1', port: 99 }],
    ['test+tcp://hv1/default', { driverUri: 'test:///default', transport: 'tcp', host: 'hv1', port: 16_509 }],
    ['qemu+tls://hv1.example.org/system', { ...system, transport: 'tls', host: 'hv1.example.org', port: 16_514 }],
    ['qemu://hv1/system', { ...system, transport: 'tls', host: 'hv1', port: 16_514 }],
    ['qemu://hv1/system?host=rack1', { driverUri: 'qemu:///system?host=rack1', transport: 'tls', host: 'hv1', port: 16_514 }],
    ['qemu+tls://[fd00::1]/system', { ...system, transport: 'tls', host: 'fd00::1', port: 16_514 }],
    ['qemu+tls://[fd00::1]:99/system', { ...system, transport: 'tls', host: 'fd00::1', port: 99 }],

    ['qemu+ssh://hv1/system', { ...system, transport: 'ssh', host: 'hv1' }],
    ['qemu+ssh://root@[::1]:2222/system', { ...system, transport: 'ssh', host: '::1', port: 2222, user: 'root' }],
    ['qemu+ssh://ada%40example.org@hv1/system', { ...system, transport: 'ssh', host: 'hv1', user: 'ada@example.org' }],
    [
      'qemu+ssh://hv1/system?keyfile=/keys/id%201&socket=/run/sock',
      { ...system, transport: 'ssh', host: 'hv1', keyfile: '/keys/id 1', socketPath: '/run/sock' },
    ],
  ])('%s', (uri, address) => expect(parseUri(uri)).toEqual(address));

  it('finds the daemons’ own sockets', () => {
    vi.stubEnv('XDG_RUNTIME_DIR', '/run/user/1000');
    expect(parseUri('qemu:///system')).toMatchObject({ socketPath: expect.stringMatching(/^(\/var)?\/run\/libvirt\/libvirt-sock$/) });
    expect(parseUri('qemu:///session')).toMatchObject({ socketPath: '/run/user/1000/libvirt/libvirt-sock' });
  });

  it('needs to know the user’s runtime directory for a session', () => {
    vi.stubEnv('XDG_RUNTIME_DIR', '');
    expect(() => parseUri('qemu:///session')).toThrow(InvalidRequest);
  });

  it.each(['qemu+libssh://host/system', 'qemu+libssh2://host/system', 'qemu+ext://host/system'])('does not do %s', (uri) =>
    expect(() => parseUri(uri)).toThrow(Unsupported),
  );

  it.each([
    ...['', 'qemu', 'qemu:/system', '/run/libvirt/libvirt-sock', 'qemu+pigeon:///system', 'qemu+toString:///system', 'qemu:///system#x'],
    // hosts
    ...['qemu+unix://host/system', 'qemu+tcp:///system', 'qemu+ssh:///system', 'qemu+tls://:99/system', 'qemu+tls://[fd00::/system'],
    ...['qemu+ssh://-oProxyCommand=id/system', 'qemu+tls://-x/system', 'qemu+ssh://a%20b/system', 'qemu+ssh://a$(id)/system', 'qemu+ssh://a;id/system'],
    ...['qemu+tls://h:0/system', 'qemu+tls://h:65536/system', 'qemu+tls://h:x/system'],
    // users
    ...['qemu+ssh://-oProxyCommand=id@h/system', 'qemu+ssh://-l@h/system', 'qemu+ssh://%2Dl@h/system', 'qemu+ssh://a%20b@h/system'],
    ...['qemu+ssh://a%0Ab@h/system', 'qemu+ssh://a%@h/system', 'qemu+ssh://$(id)@h/system', 'qemu+ssh://root:secret@h/system'],
    ...['qemu+tls://root@h/system', 'qemu+tcp://root@h/system', 'qemu://root@h/system'],
    // spaces and controls
    ...[' qemu:///system', 'qemu:///system ', 'qemu:///sys\ntem', 'qemu+ssh://h\t/system', 'qemu:///system?socket=/a b', 'qemu:///\u007f'],
    ...['qemu:///system?socket=/a%00b', 'qemu+ssh://h/system?keyfile=/a%0Ab', 'qemu+ssh://h/system?socket=-x', 'qemu+ssh://h/system?keyfile=id'],
  ])('refuses %j', (uri) => expect(() => parseUri(uri)).toThrow(InvalidRequest));

  it.each([
    ['mode', 'qemu:///system?socket=/x&mode=legacy'],
    ['keyfile', 'qemu:///system?keyfile=/x'],
    ['socket', 'qemu+tls://h/system?socket=/x'],
    ['no_verify', 'qemu+tls://h/system?no_verify=1'],
    ['pkipath', 'qemu+tls://h/system?pkipath=/tmp'],
    ['command', 'qemu+ssh://h/system?command=/bin/evil'],
    ['netcat', 'qemu+ssh://h/system?netcat=/bin/evil'],
    ['toString', 'qemu+ssh://h/system?toString=1'],
    ['socket', 'qemu:///system?socket=/x&socket=/y'],
  ])('refuses the parameter %s in %s', (name, uri) => {
    expect(() => parseUri(uri)).toThrow(InvalidRequest);
    expect(() => parseUri(uri)).toThrow(name);
  });
});
