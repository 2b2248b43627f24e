import { XMLParser } from 'fast-xml-parser';

/** What libvirt found in a volume's file. */
export interface VolumeFacts {
  format: string | null;
  /** Bytes of the disk in it. */
  capacity: number;
  /** Bytes of the file. */
  physical: number;
  /** The file that it says it stands on; null: it stands alone. */
  backing: string | null;
}

const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '', parseTagValue: false });

/** As the parser gives it: any of it may be missing. */
interface Parsed {
  volume?: { capacity?: Amount; physical?: Amount; backingStore?: { path?: unknown } | ''; target?: { format?: { type?: string } } };
}
type Amount = string | { '#text'?: string };

const bytes = (amount: Amount | undefined): number => Number((typeof amount === 'object' ? amount['#text'] : amount) ?? 0);

/** Reads a volume's XML. Source: https://libvirt.org/formatstorage.html#storage-volume-xml; amounts are in bytes on the way out. */
export function readVolumeFacts(xml: string): VolumeFacts {
  const { volume } = parser.parse(xml) as Parsed; // see above
  const backing = volume?.backingStore;
  return {
    format: volume?.target?.format?.type ?? null,
    capacity: bytes(volume?.capacity),
    physical: bytes(volume?.physical),
    backing: typeof backing === 'object' && backing.path !== undefined ? String(backing.path) : null,
  };
}
