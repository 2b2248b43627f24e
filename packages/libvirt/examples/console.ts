import { pipeline } from 'node:stream/promises';
import { connect } from '@novacron/libvirt';

// A guest's console on this terminal: console.ts URI NAME. A connection of its own, see "Consoles".
const [uri = 'qemu:///system', name = ''] = process.argv.slice(2);
const connection = await connect({ uri });
try {
  const domain = await connection.domains.lookupByName(name);
  const stream = await connection.domains.openConsole(domain, { force: true });
  process.stdin.pipe(stream);
  await pipeline(stream, process.stdout, { end: false });
} finally {
  process.stdin.unref();
  await connection.close();
}
