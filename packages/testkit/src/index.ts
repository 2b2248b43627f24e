export { migratedDatabase } from './database.ts';
export { eventually, type EventuallyOptions } from './eventually.ts';
export { guest, guestCache, GUEST_POWER_BUTTON, GUEST_UP, type Guest } from './guest.ts';
export { guestXml, type GuestXmlOptions } from './guest-xml.ts';
export type { TestHost } from './libvirt-host.ts';
export { startLibvirtHosts, type LibvirtHosts, type LibvirtHostsOptions } from './libvirt-hosts.ts';
export { startPostgres, type TestDatabase, type TestPostgres } from './postgres.ts';
export { startRedis, type TestRedis } from './redis.ts';
export { testRun, type TestRun } from './run.ts';
