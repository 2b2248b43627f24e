export { proveAcceleration, type Acceleration, type AccelerationOptions } from './acceleration.ts';
export { findChild, rememberChild, startChild, stopChild, type Child, type ChildOptions, type StopStep } from './children.ts';
export {
  checkSocketPath,
  checkTraversable,
  claimDataDirectory,
  closedParent,
  dataDirectory,
  prepareDataDirectory,
} from './data-dir.ts';
export { startLibvirtd, type LibvirtdOptions, type LocalLibvirtd } from './libvirtd.ts';
export { LIBVIRT_SUBJECTS, makePki, type Pki, type PkiHost, type PkiOptions } from './pki.ts';
export { startPostgres, type LocalPostgres, type PostgresOptions } from './postgres.ts';
export { LocalError, type Progress } from './progress.ts';
export { startRedis, type LocalRedis, type RedisServerOptions } from './redis.ts';
export { redisOptions, type RedisTarget } from './redis-url.ts';
export { tryLock, withLock, type Lock } from './lock.ts';
