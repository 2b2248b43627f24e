/*
 * What things of ours are called on a host. A network has the same name, bridge and UUID on every host, so that a migration
 * changes nothing; prisma/network has the same rule for NicDevice.
 */

/** The random end of a UUID of version 7. */
const tail = (id: string): string => id.replaceAll('-', '').slice(-11);

/** libvirt's name of a network, and of its bridge: an interface's name has at most 15 characters. */
export const networkName = (id: string): string => `nc-${tail(id)}`;
/** The end of an overlay's tunnels, a port of its bridge. */
export const tunnelName = (id: string): string => `vx-${tail(id)}`;
/** Of a network's own interface: the same on every host, so that a guest that moved finds its gateway. */
export const gatewayMac = (id: string): string => `52:54:01:${(id.replaceAll('-', '').slice(-6).match(/../g) ?? []).join(':')}`;

export const ANTI_SPOOF = { name: 'nc-anti-spoof', uuid: '6e0f1c52-5a0e-4c6b-9d43-2b6f1d7a9e01' } as const;
export const nicFilterName = (nicId: string): string => `nc-nic-${nicId}`;
export const groupFilterName = (groupId: string): string => `nc-sg-${groupId}`;
