import { createReadStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { connect } from '@novacron/libvirt';

// A file becomes a new volume: upload-volume.ts URI POOL NAME FILE. A connection of its own, see "Volumes".
const [uri = 'qemu:///system', poolName = '', name = '', file = ''] = process.argv.slice(2);
const connection = await connect({ uri });
try {
  const pool = await connection.pools.lookupByName(poolName);
  const length = statSync(file).size;
  const xml = `<volume><name>${name}</name><capacity>${length}</capacity><allocation>0</allocation></volume>`;
  const volume = await connection.volumes.create(pool, xml);
  await pipeline(createReadStream(file), await connection.volumes.upload(volume, { sparse: true }));
  console.log(`${await connection.volumes.path(volume)} has ${length} bytes`);
} finally {
  await connection.close();
}
