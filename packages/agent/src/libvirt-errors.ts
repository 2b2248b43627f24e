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

/** What libvirt says of where things lie and how hosts reach each other. A MAC address, or a device's on its bus, is none of these. */
const PLACES: readonly (readonly [RegExp, string])[] = [
  [/\b[a-z][a-z\d+.-]*:\/\/[^\s'"]+/gi, '[address]'],
  [/(?<=\b(?:address|server at|host ?name|remote host) )'[^']+'/g, '[address]'],
  [/(?<=\bhost ?name )[\w.-]*\w/g, '[address]'],
  [/\[[\da-f:.]*:[\da-f:.]*\](?::\d+)?/gi, '[address]'],
  [/(?<![\w.:])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w:]|\.\d)/g, '[address]'],
  [/(?<=')[\w.-]+:\d{2,5}(?=')/g, '[address]'],
  [/(?<![\w.:/-])[\w-]+(?:\.[\w-]+)+:\d{2,5}(?!\w|:\w|\.\d)/g, '[address]'],
  [/(?<![\w.])\/[\w.@%+-]+(?:\/[\w.@%+-]*)*/g, '[path]'],
];

/** Where things are is for administrators, who have the log; what is wrong is for whoever asked. */
const withoutPlaces = (message: string): string => PLACES.reduce((text, [place, word]) => text.replaceAll(place, word), message);

/** libvirt in: the one place where its errors become the domain's. */
export function fromLibvirt(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  if (error instanceof LibvirtError) {
    const code = CODES[error.code] ?? 'UNAVAILABLE';
    return new DomainError(code, `The hypervisor refused: ${withoutPlaces(error.message)}`, { cause: error, retryable: false });
  }
  if (isClientError(error)) {
    return new DomainError('UNAVAILABLE', 'The connection to the hypervisor was lost.', { cause: error });
  }
  return DomainError.from(error);
}
