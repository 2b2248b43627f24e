import { connect } from '@novacron/libvirt';

const connection = await connect({ uri: process.argv[2] ?? 'qemu:///system' });
try {
  const { major, minor, release } = await connection.libVersion();
  console.log(`libvirt ${major}.${minor}.${release} on ${await connection.hostname()}`);
  for (const domain of await connection.domains.list()) {
    const { state, reason } = await connection.domains.state(domain);
    console.log(`${domain.name}: ${state} (${reason})`);
  }
} finally {
  await connection.close();
}
