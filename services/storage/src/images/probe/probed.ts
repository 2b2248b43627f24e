import { DomainError } from '@novacron/core';

export const IMAGE_FORMATS = ['qcow2', 'raw'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** What a file's beginning says of it. */
export interface Probed {
  format: ImageFormat;
  /** Bytes of the disk in it. */
  size: number;
}

/** What is wrong with a file lies with whoever gave it. */
export function bad(message: string, field: 'url' | 'format' | 'sha256' = 'url'): never {
  throw new DomainError('BAD_USER_INPUT', message, { field });
}
