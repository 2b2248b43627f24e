import { describe, expect, it } from 'vitest';
import { readCapabilities } from './host-report.ts';

const UUID = '8f6b2c1e-0000-4000-8000-00000000abcd';

describe("libvirt's capabilities", () => {
  it('are read', () => {
    const uuid = `<uuid>${UUID.toUpperCase()}</uuid><cpu/>`;
    const models = '<secmodel><model>apparmor</model></secmodel><secmodel><model>dac</model></secmodel>';
    expect(readCapabilities(`<capabilities><host>${uuid}</host></capabilities>`)).toEqual({ uuid: UUID, setsOwners: false });
    expect(readCapabilities(`<capabilities><host>${uuid}${models}</host></capabilities>`)).toEqual({ uuid: UUID, setsOwners: true });
  });

  it.each(['', '<capabilities>', '<capabilities><host/></capabilities>', '<capabilities><host><uuid>x</uuid></host></capabilities>', '<a><b></a></b>', '\u0000'])(
    'give one clear error: %j',
    (xml) => expect(() => readCapabilities(xml)).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' })),
  );
});
