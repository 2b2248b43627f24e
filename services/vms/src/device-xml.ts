import type { Device, DiskDevice, NicDevice } from '@novacron/contracts';
import { text } from './xml-text.ts';

/** By this a device is known on its host, also after the guest has moved it about ("ua-": https://libvirt.org/formatdomain.html#devices). */
export const aliasOf = (deviceId: string): string => `ua-${deviceId}`;

/**
 * A volume of a pool, by their names: the same XML on every host. `cache='none'`: what a guest was told is written must be
 * on the disk when another host reads it.
 */
const diskXml = ({ id, target, pool, volume, format, bootOrder, readOnly, secretId }: DiskDevice): string => `<disk type='volume' device='disk'>
      <driver name='qemu' type='${format}' cache='none' discard='unmap'/>
      <source pool='${text(pool)}' volume='${text(volume)}'>${
        secretId === null ? '' : `<encryption format='luks'><secret type='passphrase' uuid='${secretId}'/></encryption>`
      }</source>
      <target dev='${target}' bus='virtio'/>${readOnly ? '\n      <readonly/>' : ''}${bootOrder === null ? '' : `\n      <boot order='${bootOrder}'/>`}
      <serial>${id.slice(-20)}</serial>
      <alias name='${aliasOf(id)}'/>
    </disk>`;

const nicXml = ({ id, mac, network, filter, address, mtu }: NicDevice): string => `<interface type='${network === null ? 'user' : 'network'}'>
      <mac address='${mac}'/>${network === null ? '' : `\n      <source network='${text(network)}'/>`}
      <model type='virtio'/>${
        filter === null ? '' : `\n      <filterref filter='${text(filter)}'>${address === null ? '' : `<parameter name='IP' value='${address}'/>`}</filterref>`
      }${mtu === null ? '' : `\n      <mtu size='${mtu}'/>`}
      <alias name='${aliasOf(id)}'/>
    </interface>`;

/** A device as an element of a domain's <devices>. */
export const deviceXml = (device: Device): string => (device.kind === 'disk' ? diskXml(device) : nicXml(device));
