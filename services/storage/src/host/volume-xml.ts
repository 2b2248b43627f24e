import { XMLParser } from 'fast-xml-parser';
import type { VolumeFormat } from '../rules.ts';

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&apos;', '"': '&quot;' };
const text = (value: string): string => value.replace(/[&<>'"]/g, (character) => ENTITIES[character] ?? character);

/** Who reads and writes a volume's file: the user that QEMU runs as. */
export interface Owner {
  uid: number;
  gid: number;
}

export interface VolumeSpec {
  name: string;
  /** Bytes that a guest sees. */
  size: number;
  format: VolumeFormat;
  /** The libvirt secret that it is encrypted with; null: it is not. */
  secretId: string | null;
  /** What it is a copy-on-write clone of. */
  backing?: { path: string; format: string } | null;
}

/**
 * A volume's definition (https://libvirt.org/formatstorage.html). Domains of ours have `seclabel none` for DAC, so libvirt
 * changes no owner when one starts: the file belongs to QEMU's user from the beginning. `owner` null: this libvirt sets none.
 */
export const volumeXml = ({ name, size, format, secretId, backing }: VolumeSpec, owner: Owner | null): string =>
  `<volume type='file'>
  <name>${text(name)}</name>
  <capacity unit='bytes'>${size}</capacity>
  <allocation unit='bytes'>0</allocation>
  <target>
    <format type='${format}'/>${format === 'qcow2' ? '<compat>1.1</compat>' : ''}
    <permissions><mode>0600</mode>${owner === null ? '' : `<owner>${owner.uid}</owner><group>${owner.gid}</group>`}</permissions>${
      secretId === null ? '' : `\n    <encryption format='luks'><secret type='passphrase' uuid='${secretId}'/></encryption>`
    }
  </target>${
    backing == null ? '' : `\n  <backingStore><path>${text(backing.path)}</path><format type='${text(backing.format)}'/></backingStore>`
  }
</volume>
`;

/** A directory pool. 0711: QEMU's user finds its files, and nobody lists them. */
export const poolXml = (name: string, uuid: string, path: string): string =>
  `<pool type='dir'>
  <name>${text(name)}</name>
  <uuid>${uuid}</uuid>
  <target><path>${text(path)}</path><permissions><mode>0711</mode></permissions></target>
</pool>
`;

/** Ephemeral: kept in libvirtd's memory alone. Private: nobody reads its value through libvirt. */
export const secretXml = (uuid: string, path: string): string =>
  `<secret ephemeral='yes' private='yes'>
  <uuid>${uuid}</uuid>
  <usage type='volume'><volume>${text(path)}</volume></usage>
</secret>
`;

const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '', processEntities: true, isArray: (name) => name === 'secmodel' || name === 'baselabel' });

/** As the parser gives them: any of it may be missing. */
interface Capabilities {
  capabilities?: { host?: { secmodel?: { model?: unknown; baselabel?: ({ type?: unknown; '#text'?: unknown } | string)[] }[] } };
}

/** The user that this libvirt runs QEMU as; null where it sets no owners. Source: https://libvirt.org/formatcaps.html */
export function readOwner(capabilitiesXml: string): Owner | null {
  const { capabilities } = parser.parse(capabilitiesXml) as Capabilities; // see above
  const labels = capabilities?.host?.secmodel?.find(({ model }) => model === 'dac')?.baselabel ?? [];
  const label = labels.find((one) => typeof one === 'object' && (one.type === 'kvm' || one.type === 'qemu'));
  const match = /^\+(\d+):\+(\d+)$/.exec(typeof label === 'object' ? String(label['#text']) : '');
  return match === null ? null : { uid: Number(match[1]), gid: Number(match[2]) };
}

/** Where a directory pool's files are. */
export function readPoolPath(xml: string): string | null {
  const { pool } = parser.parse(xml) as { pool?: { target?: { path?: unknown } } }; // any of it may be missing
  const path = pool?.target?.path;
  return typeof path === 'string' ? path : null;
}
