import { randomBytes } from 'node:crypto';
import type { HostAgent } from '@novacron/agent';
import { DomainError } from '@novacron/core';
import type { Connection } from '@novacron/libvirt';
import type { Secrets } from '@novacron/secrets';
import { nullIf, isCode } from './host-storage.ts';
import { secretXml } from './volume-xml.ts';

const KEY_BYTES = 32;
const contextOf = (volumeId: string): string => `volume:${volumeId}`;

/** A new volume's passphrase, sealed: 32 random bytes, as text. */
export function newPassphrase(secrets: Secrets, volumeId: string): { passphrase: Uint8Array<ArrayBuffer>; keyId: string } {
  const { sealed, keyId } = secrets.seal(Buffer.from(randomBytes(KEY_BYTES).toString('base64')), contextOf(volumeId));
  return { passphrase: sealed, keyId };
}

/** What opens a volume, and for which file libvirt is to know it. */
export interface Lock {
  /** The libvirt secret. */
  secretId: string;
  path: string;
  volume: { id: string; passphrase: Uint8Array | null; keyId: string | null };
}

/** Gives libvirt what opens a volume, in its memory alone. Idempotent, and the same after it has forgotten it. */
export async function unlock(connection: Connection, secrets: Secrets, { secretId, path, volume }: Lock): Promise<void> {
  if (volume.passphrase === null || volume.keyId === null) throw new DomainError('INTERNAL', 'An encrypted volume has no passphrase.');
  const xml = secretXml(secretId, path);
  const secret = await connection.secrets.define(xml).catch(async (error: unknown) => {
    // libvirt keeps a secret's use: one that was defined for another file makes room
    if (!isCode(error, 'INTERNAL_ERROR') && !isCode(error, 'OPERATION_FAILED') && !isCode(error, 'INVALID_ARG')) throw error;
    await lockAgain(connection, secretId);
    return connection.secrets.define(xml);
  });
  const value = secrets.open({ sealed: Buffer.from(volume.passphrase), keyId: volume.keyId }, contextOf(volume.id));
  try {
    await connection.secrets.setValue(secret, value);
  } finally {
    value.fill(0);
  }
}

/** Libvirt forgets what opens a volume. Idempotent. */
export async function lockAgain(connection: Connection, secretId: string): Promise<void> {
  const secret = await connection.secrets.lookupByUuid(secretId).catch(nullIf('NO_SECRET'));
  if (secret) await connection.secrets.undefine(secret).catch(nullIf('NO_SECRET'));
}

/** How many are at work with what opens a file: it goes with the last of them. There is one agent of a host. */
const atWork = new WeakMap<HostAgent, Map<string, number>>();

/** Works on files that no guest has, with what opens them; afterwards libvirt forgets that again. */
export async function withUnlocked<T>(agent: HostAgent, secrets: Secrets, locks: readonly Lock[], work: () => Promise<T>): Promise<T> {
  const counts = atWork.get(agent) ?? new Map<string, number>();
  atWork.set(agent, counts);
  const count = (id: string, change: number): number => {
    const now = (counts.get(id) ?? 0) + change;
    if (now === 0) counts.delete(id);
    else counts.set(id, now);
    return now;
  };
  for (const { secretId } of locks) count(secretId, 1);
  try {
    for (const lock of locks) await unlock(await agent.connection(), secrets, lock);
    return await work();
  } finally {
    for (const { secretId } of locks) {
      if (count(secretId, -1) === 0) await lockAgain(await agent.connection(), secretId);
    }
  }
}
