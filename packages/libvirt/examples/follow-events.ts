import { openLink } from '@novacron/libvirt';

// Follows a host until it is interrupted; the daemon may restart meanwhile.
const link = openLink({
  uri: process.argv[2] ?? 'qemu:///system',
  listeners: {
    lifecycle: ({ domain, event, detail }) => console.log(`${domain.name} ${event} (${detail})`),
  },
  onStatus: async (status) => {
    if (status.state === 'lost') console.log(`lost: ${status.reason.message}`);
    if (status.state !== 'connected') return;
    // What happened before is not told: read it. From here on, events tell what changes.
    const running = await status.connection.domains.list({ active: true });
    console.log(`connected; ${running.length} running`);
  },
});
process.once('SIGINT', () => void link.close());
process.once('SIGTERM', () => void link.close());
