/**
 * What NovaCron writes into a libvirt domain, so that whoever looks at the host knows whose it is: the name
 * `nc-<VM id>` for ever (the VM's own name is the <title>), the UUID equal to the VM's id, and
 * `<nc:vm xmlns:nc="urn:novacron:domain:1" tenant="..."/>` as metadata.
 */
export const DOMAIN_METADATA_URI = 'urn:novacron:domain:1';
export const DOMAIN_NAME_PREFIX = 'nc-';

export const domainName = (vmId: string): string => `${DOMAIN_NAME_PREFIX}${vmId}`;
