import { can, requireScope, requireViewer, tenantsWith, type Viewer } from '@novacron/contracts';
import { isId } from '@novacron/core';
import { connectionType, forwardArguments } from '@novacron/graphql';
import { ringFor } from '@novacron/operations';
import { deleteImage } from '../images/delete-image.ts';
import type { ImageRow } from '../images/image-store.ts';
import { importImage, type AcceptedImage } from '../images/import-image.ts';
import { listImages } from '../images/list-images.ts';
import { createImageUpload, type AwaitedUpload } from '../images/uploads/uploads.ts';
import { builder, type StorageContext } from './context.ts';
import { StoragePool } from './pool.ts';
import { Operation, Tenant, User } from './stubs.ts';

/** A public image is seen by everyone who may read images anywhere. */
const sees = (viewer: Viewer | null, image: ImageRow): boolean => can(viewer, 'image:read', image.tenantId ?? undefined);

export const Image = builder.objectRef<ImageRow>('Image').implement({
  description: 'A disk image that boot disks are clones of.',
  tokenScopes: ['image:read'],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: 'Its name, unique in its tenant, or among public images.' }),
    tenant: t.field({ type: Tenant, nullable: true, description: 'Whose it is; null: public, for everyone.', resolve: ({ tenantId }) => (tenantId === null ? null : { id: tenantId }) }),
    state: t.string({ description: 'AWAITING_UPLOAD, IMPORTING, READY, DELETING or DELETED (also after an import that failed; see problem).', resolve: (image) => image.state }),
    problem: t.exposeString('problem', { nullable: true, description: 'Why it was not imported.' }),
    generation: t.exposeInt('generation', { description: 'Grows with every change.' }),
    format: t.exposeString('format', { nullable: true, description: 'qcow2 or raw; null until it is known.' }),
    size: t.field({ type: 'ByteSize', nullable: true, description: 'Bytes of the disk in it: a boot disk is at least as large. Null until known.', resolve: (image) => image.size }),
    fileSize: t.field({ type: 'ByteSize', nullable: true, description: 'Bytes of its file: what each of its copies takes of a pool. Null until known.', resolve: (image) => image.fileSize }),
    sha256: t.exposeString('sha256', { nullable: true, description: 'SHA-256 of its file, hexadecimal; null until known.' }),
    url: t.exposeString('url', { nullable: true, description: 'Where it was imported from, without the query; null when it was uploaded.' }),
    pools: t.field({
      type: [StoragePool],
      listSize: { assumedSize: 2 },
      description: 'The storage pools that have its file.',
      resolve: async ({ id }, _args, { database, loaders }) => {
        const copies = await database.imageCopy.findMany({ where: { imageId: id, state: 'READY' }, orderBy: { poolId: 'asc' } });
        return (await Promise.all(copies.map(({ poolId }) => loaders.pool.load(poolId)))).filter((pool) => pool !== null);
      },
    }),
    createdBy: t.field({ type: User, nullable: true, description: 'Who made it.', resolve: ({ createdBy }) => (createdBy === null ? null : { id: createdBy }) }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was asked for.', resolve: (image) => image.createdAt }),
  }),
});

const visibleImage = async (id: string, { viewer, database }: StorageContext): Promise<ImageRow | null> => {
  const image = isId(id) ? await database.image.findUnique({ where: { id } }) : null;
  return image && sees(viewer, image) ? image : null;
};

builder.asEntity(Image, {
  key: builder.selection<{ id: string }>('id'),
  resolveReference: ({ id }, context) => {
    requireScope(context.viewer, ['image:read']);
    return visibleImage(id, context);
  },
});

const ImageFilter = builder.inputType('ImageFilter', {
  description: 'Which images: all that is given must match.',
  fields: (t) => ({
    tenantId: t.id({ description: 'Of this tenant.' }),
    public: t.boolean({ description: 'Only public ones, or only those of tenants.' }),
    state: t.string({ description: 'In this state.' }),
    search: t.string({ description: 'With this text in the name, whatever its case.' }),
  }),
});

const ImageConnection = connectionType(builder, 'Image', Image);

builder.queryFields((t) => ({
  image: t.field({
    type: Image,
    nullable: true,
    description: 'One image; null when there is none with this id that you may see.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    resolve: (_root, { id }, context) => {
      requireViewer(context.viewer);
      return visibleImage(id, context);
    },
  }),
  images: t.field({
    type: ImageConnection,
    description: 'The images that you may see, public ones among them, oldest first. Deleted ones are in no list.',
    args: { ...forwardArguments(t.arg), filter: t.arg({ type: ImageFilter, description: 'Which images.' }) },
    resolve: (_root, { filter, ...paging }, { viewer, database }) =>
      listImages(database, { tenants: tenantsWith(requireViewer(viewer), 'image:read'), filter, paging }),
  }),
}));

const ImagePayload = builder.objectRef<AcceptedImage>('ImagePayload').implement({
  description: 'An image, and the operation that changes it.',
  fields: (t) => ({
    image: t.field({ type: Image, description: 'The image as it is now.', resolve: ({ imageId }, _args, { database }) => database.image.findUniqueOrThrow({ where: { id: imageId } }) }),
    operation: t.field({ type: Operation, description: 'The operation; watch it with operationChanged.', resolve: ({ operationId }) => ({ id: operationId }) }),
  }),
});

const ImportImageInput = builder.inputType('ImportImageInput', {
  description: 'An image to be fetched from a URL.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1-63 of a-z, 0-9 and -.' }),
    url: t.string({
      required: true,
      description: 'http or https, up to 5 redirects. The address must be public, after every redirect, unless NOVACRON_IMPORT_ALLOW has it. The server must say how long the file is.',
    }),
    sha256: t.string({ description: 'SHA-256 of the file, hexadecimal: another file is refused.' }),
    format: t.string({ description: 'qcow2 or raw: another one is refused. What the file is, unless given.' }),
    poolId: t.id({ description: 'The storage pool: the one with most room unless given.' }),
    tenantId: t.id({ description: 'Whose it is: needed when you are in several tenants.' }),
    public: t.boolean({ description: "Everyone's and no tenant's: for administrators of the platform." }),
  }),
});

const ImageUpload = builder.objectRef<AwaitedUpload>('ImageUpload').implement({
  description: 'An image that waits for its file.',
  fields: (t) => ({
    image: t.field({ type: Image, description: 'The image, AWAITING_UPLOAD.', resolve: ({ imageId }, _args, { database }) => database.image.findUniqueOrThrow({ where: { id: imageId } }) }),
    url: t.exposeString('url', {
      description: 'PUT the file to this path of the address that the graph is at: once, as it is, with its Content-Length. The URL is a secret; nothing else is asked for. The answer names the operation that puts the file into its pool.',
    }),
    expiresAt: t.field({ type: 'DateTime', description: 'Until when: an hour from now. An image without a file is removed then.', resolve: ({ expiresAt }) => expiresAt }),
  }),
});

const ImageUploadInput = builder.inputType('ImageUploadInput', {
  description: 'An image to be uploaded.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1-63 of a-z, 0-9 and -.' }),
    format: t.string({ required: true, description: 'qcow2 or raw.' }),
    sha256: t.string({ required: true, description: 'SHA-256 of the file, hexadecimal.' }),
    size: t.field({ type: 'ByteSize', required: true, description: 'Bytes of the file.' }),
    poolId: t.id({ description: 'The storage pool: the one with most room unless given.' }),
    tenantId: t.id({ description: 'Whose it is: needed when you are in several tenants.' }),
    public: t.boolean({ description: "Everyone's and no tenant's: for administrators of the platform." }),
  }),
});

builder.mutationFields((t) => ({
  createImageUpload: t.field({
    type: ImageUpload,
    description:
      'Makes an image that waits for its file, and the URL that it may be PUT to. Errors: BAD_USER_INPUT, ALREADY_EXISTS (name), NOT_FOUND (tenantId, poolId), FORBIDDEN, INVALID_STATE, QUOTA_EXCEEDED (size), UNAVAILABLE.',
    args: { input: t.arg({ type: ImageUploadInput, required: true, description: 'The image.' }) },
    resolve: (_root, { input }, context) => createImageUpload(context.database, context, { ...input, size: Number(input.size) }),
  }),
  importImage: t.field({
    type: ImagePayload,
    cost: 20, // fetched, checked and copied
    description:
      'Fetches an image into a storage pool. Its operation fails with BAD_USER_INPUT (url, sha256, format), NO_CAPACITY (poolId), QUOTA_EXCEEDED (url) or UNAVAILABLE (url), and then nothing is left. Errors: BAD_USER_INPUT, ALREADY_EXISTS (name), NOT_FOUND (tenantId, poolId), FORBIDDEN, INVALID_STATE, UNAVAILABLE.',
    args: { input: t.arg({ type: ImportImageInput, required: true, description: 'The image.' }) },
    resolve: (_root, { input }, context) => ringFor(context, importImage(context.database, context, input)),
  }),
  deleteImage: t.field({
    type: ImagePayload,
    description:
      'Removes an image from every storage pool and frees its name. Asked again while in flight, it answers the same operation. Errors: NOT_FOUND, FORBIDDEN, INVALID_STATE (a volume stands on it, or it is being imported).',
    args: { id: t.arg.id({ required: true, description: 'The image.' }) },
    resolve: (_root, { id }, context) => ringFor(context, deleteImage(context.database, context, id)),
  }),
}));
