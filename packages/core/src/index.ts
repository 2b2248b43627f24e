export { isConnectionLoss } from './connection-loss.ts';
export { DomainError, ERROR_CODES, type ErrorCode, type ErrorDetails, type ErrorRecord } from './errors.ts';
export { isId, newId, parseId } from './ids.ts';
export type { HostId, OperationId, SessionId, TenantId, UserId, VmId } from './ids.ts';
