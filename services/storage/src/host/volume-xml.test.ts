import { describe, expect, it } from 'vitest';
import { readOwner, readPoolPath, secretXml, volumeXml } from './volume-xml.ts';

const spec = { name: 'v.qcow2', size: 1_048_576, format: 'qcow2', secretId: null } as const;

describe('a volume', () => {
  it('belongs to the user that QEMU runs as, where libvirt sets owners', () => {
    expect(volumeXml(spec, { uid: 64055, gid: 108 })).toContain('<mode>0600</mode><owner>64055</owner><group>108</group>');
    expect(volumeXml(spec, null)).not.toContain('owner');
  });

  it('takes up nothing until it is written to', () => expect(volumeXml({ ...spec, format: 'raw' }, null)).toContain("<allocation unit='bytes'>0</allocation>"));

  it('names its secret and what it is a clone of', () => {
    const xml = volumeXml({ ...spec, secretId: 'a-uuid', backing: { path: "/pool/a&'b", format: 'raw' } }, null);
    expect(xml).toContain("<secret type='passphrase' uuid='a-uuid'/>");
    expect(xml).toContain("<path>/pool/a&amp;&apos;b</path><format type='raw'/>");
  });
});

it('a secret is kept in memory, for libvirt alone', () => expect(secretXml('u', '/p/v')).toContain("ephemeral='yes' private='yes'"));

describe("the user of QEMU's", () => {
  const capabilities = (models: string) => `<capabilities><host><uuid>x</uuid>${models}</host></capabilities>`;
  it.each([
    ['of two models', "<secmodel><model>apparmor</model><doi>0</doi></secmodel><secmodel><model>dac</model><doi>0</doi><baselabel type='kvm'>+64055:+108</baselabel><baselabel type='qemu'>+1:+2</baselabel></secmodel>", { uid: 64055, gid: 108 }],
    ['of one', "<secmodel><model>dac</model><baselabel type='qemu'>+0:+0</baselabel></secmodel>", { uid: 0, gid: 0 }],
    ['where there is none', '<secmodel><model>none</model><doi>0</doi></secmodel>', null],
    ['where nothing is said', '', null],
  ])('%s', (_what, models, owner) => expect(readOwner(capabilities(models))).toEqual(owner));
});

it("a pool's path is read, entities and all", () => {
  expect(readPoolPath('<pool type="dir"><name>a</name><target><path>/a&amp;b</path></target></pool>')).toBe('/a&b');
  expect(readPoolPath('<pool/>')).toBeNull();
});
