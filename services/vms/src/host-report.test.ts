import { describe, expect, it } from 'vitest';
import { hostUuid } from './host-report.ts';

const UUID = '8f6b2c1e-0000-4000-8000-00000000abcd';

describe("the host's UUID in libvirt's capabilities", () => {
  it('is found', () => expect(hostUuid(`<capabilities><host><uuid>${UUID.toUpperCase()}</uuid><cpu/></host></capabilities>`)).toBe(UUID));

  it.each(['', '<capabilities>', '<capabilities><host/></capabilities>', '<capabilities><host><uuid>x</uuid></host></capabilities>', '<a><b></a></b>', '\u0000'])(
    'is missed with one clear error: %j',
    (xml) => expect(() => hostUuid(xml)).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' })),
  );
});
