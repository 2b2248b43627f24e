import { badInput } from '@novacron/core';
import { IMAGE_FORMATS, type ImageFormat } from './probe/probed.ts';

/** How many images of a tenant may be on their way at once: each holds a step on a host. */
export const MOST_UNFINISHED = 16;

/** In lower case. */
export function checkSha256(text: string): string {
  const hash = text.toLowerCase();
  return /^[0-9a-f]{64}$/.test(hash) ? hash : badInput('sha256', 'A SHA-256 has 64 hexadecimal digits.');
}

export function checkImageFormat(text: string): ImageFormat {
  return IMAGE_FORMATS.find((format) => format === text.toLowerCase()) ?? badInput('format', `An image's format is one of ${IMAGE_FORMATS.join(', ')}.`);
}

/** libvirt's name of an image's file, the same in every pool. */
export const imageFileName = (imageId: string): string => `${imageId}.image`;
