import { DomainError, type ErrorCode } from '@novacron/core';
import { ERROR_CODE, isClientError, LibvirtError } from '@novacron/libvirt';

/** What libvirt refuses, in the words of the domain. What is not here is the host's own trouble: UNAVAILABLE. */
const CODES: Partial<Record<number, ErrorCode>> = {
  [ERROR_CODE.NO_DOMAIN]: 'NOT_FOUND',
  [ERROR_CODE.OPERATION_INVALID]: 'INVALID_STATE',
  [ERROR_CODE.XML_ERROR]: 'BAD_USER_INPUT',
  [ERROR_CODE.XML_DETAIL]: 'BAD_USER_INPUT',
  [ERROR_CODE.CONFIG_UNSUPPORTED]: 'BAD_USER_INPUT',
  [ERROR_CODE.DOM_EXIST]: 'ALREADY_EXISTS',
};

/** Where things lie on a host is for its administrators, who have the log; what is wrong is for whoever asked. */
const withoutPaths = (message: string): string => message.replaceAll(/(?<![\w.])\/[\w.@%+-]+(?:\/[\w.@%+-]*)*/g, '[path]');

/** libvirt in: the one place where its errors become the domain's. */
export function fromLibvirt(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  if (error instanceof LibvirtError) {
    const code = CODES[error.code] ?? 'UNAVAILABLE';
    return new DomainError(code, `The hypervisor refused: ${withoutPaths(error.message)}`, { cause: error, retryable: false });
  }
  if (isClientError(error)) {
    return new DomainError('UNAVAILABLE', 'The connection to the hypervisor was lost.', { cause: error });
  }
  return DomainError.from(error);
}
