import type { ImageId, OperationId } from '@novacron/core';
import type { Readable } from 'node:stream';

/** What an upload has led to: its image, and the operation that puts it into a pool. */
export interface UploadReceipt {
  imageId: ImageId;
  operationId: OperationId;
}

/**
 * Takes the body of a PUT to a presigned URL; `length` is its Content-Length. The token in the URL is all that is asked for: it
 * is for one upload, and one time. Errors: NOT_FOUND (unknown, used or expired), BAD_USER_INPUT (size, sha256), UNAVAILABLE.
 */
export type ReceiveUpload = (token: string, body: Readable, about: { length: number | null; requestId: string }) => Promise<UploadReceipt>;

/** Where the gateway takes uploads, and the storage role takes them from a gateway elsewhere. */
export const UPLOADS_PATH = '/uploads';
/** Where the storage role hands them to an agent elsewhere. */
export const UPLOADED_FILES_PATH = '/uploaded-files';
