import type { CloudInit } from '@novacron/contracts';
import { writeIso } from './iso9660.ts';

/**
 * The disk that cloud-init's NoCloud source finds by its label. The instance is the VM: a guest does what it is told once.
 * Source: https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
 */
export function seedImage(instanceId: string, { hostname, sshKeys, userData, networkConfig }: CloudInit): Buffer {
  const files = [
    { name: 'meta-data', content: metaData(instanceId, hostname, sshKeys) },
    { name: 'user-data', content: userData ?? '#cloud-config\n' }, // without the file there is no source
    ...(networkConfig === null ? [] : [{ name: 'network-config', content: networkConfig }]),
  ];
  return writeIso('cidata', files.map(({ name, content }) => ({ name, content: Buffer.from(content, 'utf8') })));
}

/** YAML; a string of JSON is one of YAML, and no host name becomes a number. */
const metaData = (instanceId: string, hostname: string | null, sshKeys: readonly string[]): string =>
  [
    `instance-id: ${JSON.stringify(instanceId)}`,
    ...(hostname === null ? [] : [`local-hostname: ${JSON.stringify(hostname)}`]),
    ...(sshKeys.length === 0 ? [] : ['public-keys:', ...sshKeys.map((key) => `  - ${JSON.stringify(key)}`)]),
    '',
  ].join('\n');
