import { connect, isClientError } from '@novacron/libvirt';

const connection = await connect({ uri: process.argv[2] ?? 'qemu:///system' });
try {
  const domain = await connection.domains.lookupByName('no-such-domain', { deadlineMs: 5_000 });
  await connection.domains.start(domain);
} catch (error) {
  if (!isClientError(error)) throw error;
  switch (error.kind) {
    case 'libvirt': // the daemon said no
      console.log(error.is('NO_DOMAIN') ? 'There is no such domain.' : `${error.procedure}: ${error.message}`);
      break;
    case 'deadline': // nobody answered in time,
    case 'connection-lost': // or nobody is there any more
      console.log(error.sent ? 'It may have happened: read the state again.' : 'It did not happen.');
      break;
    case 'protocol': // the daemon spoke nonsense
    case 'invalid-request': // we did
    case 'unsupported':
      throw error;
  }
} finally {
  await connection.close();
}
