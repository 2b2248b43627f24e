import { describe, expect, it } from 'vitest';
import { readHostUuid, setsOwners } from './host-report.ts';

const UUID = '8f6b2c1e-0000-4000-8000-00000000abcd';

describe("libvirt's capabilities", () => {
  it('are read', () => {
    const uuid = `<uuid>${UUID.toUpperCase()}</uuid><cpu/>`;
    const models = '<secmodel><model>apparmor</model></secmodel><secmodel><model>dac</model></secmodel>';
    expect(readHostUuid(`<capabilities><host>${uuid}</host></capabilities>`)).toBe(UUID);
    expect(setsOwners(`<capabilities><host>${uuid}</host></capabilities>`)).toBe(false);
    expect(setsOwners(`<capabilities><host>${uuid}${models}</host></capabilities>`)).toBe(true);
  });

  it.each(['', '<capabilities>', '<capabilities><host/></capabilities>', '<capabilities><host><uuid>x</uuid></host></capabilities>', '<a><b></a></b>', '\u0000'])(
    'give one clear error: %j',
    (xml) => expect(() => readHostUuid(xml)).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' })),
  );
});
