import { DomainError } from '@novacron/core';
import { checkName } from '../rules.ts';
import { IMAGE_FORMATS, type ImageFormat } from './probe/probed.ts';

const bad = (field: string, message: string): never => {
  throw new DomainError('BAD_USER_INPUT', message, { field });
};

/** How many images of a tenant may be on their way at once: each holds a step on a host. */
export const MOST_UNFINISHED = 16;

export const checkImageName = (name: string): string => checkName(name);

/** In lower case. */
export function checkSha256(text: string): string {
  const hash = text.toLowerCase();
  return /^[0-9a-f]{64}$/.test(hash) ? hash : bad('sha256', 'A SHA-256 has 64 hexadecimal digits.');
}

export function checkImageFormat(text: string): ImageFormat {
  return IMAGE_FORMATS.find((format) => format === text.toLowerCase()) ?? bad('format', `An image's format is one of ${IMAGE_FORMATS.join(', ')}.`);
}

/** libvirt's name of an image's file, the same in every pool. */
export const imageFileName = (imageId: string): string => `${imageId}.image`;
