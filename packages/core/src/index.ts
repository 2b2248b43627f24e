export { isConnectionLoss } from './connection-loss.ts';
export { DomainError, ERROR_CODES, type ErrorCode, type ErrorDetails, type ErrorRecord } from './errors.ts';
export { isId, newId, parseId } from './ids.ts';
export { badInput, checkIdempotencyKey, checkName, checkText, isName } from './input.ts';
export { networkOf } from './networks.ts';
export type {
  HostId,
  ImageId,
  MigrationId,
  NetworkId,
  NicId,
  OperationId,
  PoolId,
  SecurityGroupId,
  SessionId,
  TenantId,
  UserId,
  VmId,
  VolumeId,
} from './ids.ts';
