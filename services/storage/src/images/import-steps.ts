import { DomainError, type ImageId, type OperationId, type PoolId } from '@novacron/core';
import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { Tx } from '../database.ts';
import type { Place } from '../host/host-storage.ts';
import { at, type HostSteps } from '../operations/steps.ts';
import { receiveFile } from './host/receive-file.ts';
import { imageFileName } from './image-rules.ts';
import { beginCopy, buryImage, changeImage, describeImage, dropCopy, finishCopy, lockImage, type ImageRow } from './image-store.ts';
import { openSource, type ImportSource } from './import-source.ts';
import { keepHead } from './probe/keep-head.ts';
import { probeImage, PROBE_BYTES } from './probe/probe.ts';
import { IMAGE_FORMATS, type ImageFormat, type Probed } from './probe/probed.ts';

interface ImageInput {
  imageId: ImageId;
}

interface HoldImageInput extends ImageInput {
  operationId: OperationId;
  verb: 'import' | 'delete';
}

/** Done by the mutation: the image is made, or held. Undone, it is no more, or as it was. */
export const HOLD_IMAGE = { name: 'storage.hold-image', undoable: true } as const satisfies StepDeclaration;

const nothing = (): Promise<void> => Promise.resolve();

export const holdImageStep: Step<Tx, HoldImageInput, void, void> = {
  ...HOLD_IMAGE,
  run: nothing, // the mutation did it
  undo: nothing, // all of it is in the database
  async commitUndo(tx, { imageId, operationId, verb }, _undone, { claim }) {
    const image = await lockImage(tx, imageId);
    if (image?.operationId !== operationId) return; // let go of already
    if (verb === 'import') await buryImage(tx, imageId, claim.error?.message ?? 'The import was cancelled.');
    else await changeImage(tx, imageId, { state: 'READY', operationId: null });
  },
};

export interface ImportInput extends ImageInput {
  poolId: PoolId;
  source: ImportSource;
}

const imageOf = async ({ context }: HostSteps, id: ImageId): Promise<ImageRow> => {
  const image = await context.database.image.findUnique({ where: { id } });
  if (!image) throw new DomainError('INTERNAL', 'The image of this operation has no row.');
  return image;
};

/** Where an image's file is, or is to be, in a pool. */
export async function imagePlace({ context }: HostSteps, imageId: string, poolId: string): Promise<Place> {
  const pool = await context.database.pool.findUniqueOrThrow({ where: { id: poolId } });
  return { pool, libvirtName: imageFileName(imageId) };
}

export const formatOf = ({ format }: Pick<ImageRow, 'format'>): ImageFormat | null => IMAGE_FORMATS.find((known) => known === format) ?? null;

/** Looks at the first bytes of the file: what it is, and how much room it needs, is known and claimed before it is fetched. */
export const PROBE_IMAGE = { name: 'storage.probe-image', undoable: true } as const satisfies StepDeclaration;

export const probeImageStep = (steps: HostSteps): Step<Tx, ImportInput, Probed & { fileSize: number }, void> => ({
  ...PROBE_IMAGE,
  async run(run, { imageId, source }) {
    const image = await imageOf(steps, imageId);
    const { head, size: fileSize } = await openSource(source, steps.context.imports, run.signal).head(PROBE_BYTES);
    return { ...probeImage(head, fileSize, formatOf(image)), fileSize };
  },
  async commit(tx, { imageId, poolId }, { format, size, fileSize }, { claim }) {
    await beginCopy(tx, imageId, poolId, BigInt(fileSize), claim.operationId);
    await describeImage(tx, imageId, { format, size, fileSize });
  },
  undo: nothing,
  commitUndo: (tx, { imageId, poolId }, _undone, { claim }) => dropCopy(tx, imageId, poolId, claim.operationId),
});

/** Fetches the file into the pool. Tried again, it begins again; undone, nothing of it is there. */
export const FETCH_IMAGE = { name: 'storage.fetch-image', undoable: true } as const satisfies StepDeclaration;

export const fetchImageStep = (steps: HostSteps): Step<Tx, ImportInput, { sha256: string }, void> => ({
  ...FETCH_IMAGE,
  async run(run, { imageId, poolId, source }) {
    const image = await imageOf(steps, imageId);
    const format = formatOf(image);
    if (format === null) throw new DomainError('INTERNAL', 'An image is fetched before it was looked at.');
    const expected = { format, size: Number(image.size), fileSize: Number(image.fileSize), sha256: image.sha256 };
    const place = await imagePlace(steps, imageId, poolId);
    await run.begin();
    let head = (): Buffer => Buffer.alloc(0);
    const sha256 = await receiveFile(steps.host, place, expected, run.signal, (sink) => {
      const kept = keepHead(sink);
      head = kept.head;
      return openSource(source, steps.context.imports, run.signal).copyTo(kept.sink, (bytes) => run.reportProgress(bytes / expected.fileSize));
    });
    // a server may send another file than the one that was looked at, and libvirt does not see all that a header names
    const { size } = probeImage(head(), expected.fileSize, format);
    if (size !== expected.size) throw new DomainError('BAD_USER_INPUT', 'The file has changed while it was fetched.', { field: 'url' });
    return { sha256 };
  },
  async commit(tx, { imageId, poolId }, { sha256 }) {
    await finishCopy(tx, imageId, poolId);
    await changeImage(tx, imageId, { state: 'READY', sha256, operationId: null });
  },
  async undo(run, { imageId, poolId }) {
    if (run.claim.output === null) return; // it only looked
    await steps.host.remove(await imagePlace(steps, imageId, poolId));
  },
});

export const planImport = (hold: HoldImageInput, input: ImportInput, hostId: string): PlannedStep[] => [
  plan(HOLD_IMAGE, hold, { done: true }),
  plan(PROBE_IMAGE, input, at(hostId)),
  plan(FETCH_IMAGE, input, at(hostId)),
];

interface CopyInput extends ImageInput {
  poolId: PoolId;
}

/** The image's file leaves a pool. */
export const DROP_IMAGE = { name: 'storage.drop-image', undoable: false, final: true } as const satisfies StepDeclaration;

export const dropImageStep = (steps: HostSteps): Step<Tx, CopyInput, void> => ({
  ...DROP_IMAGE,
  async run(run, { imageId, poolId }) {
    await run.begin();
    await steps.host.remove(await imagePlace(steps, imageId, poolId));
  },
  commit: (tx, { imageId, poolId }) => dropCopy(tx, imageId, poolId, null),
});

/** After its files: the image itself. */
export const BURY_IMAGE = { name: 'storage.bury-image', undoable: false, final: true } as const satisfies StepDeclaration;

export const buryImageStep: Step<Tx, ImageInput, void> = { ...BURY_IMAGE, run: nothing, commit: (tx, { imageId }) => buryImage(tx, imageId, null) };

export const planDelete = (hold: HoldImageInput, copies: readonly { poolId: PoolId; hostId: string }[]): PlannedStep[] => [
  plan(HOLD_IMAGE, hold, { done: true }),
  ...copies.map(({ poolId, hostId }) => plan(DROP_IMAGE, { imageId: hold.imageId, poolId }, at(hostId))),
  plan(BURY_IMAGE, { imageId: hold.imageId }),
];
