/** Told what is being done, in words for the person who waits: "Starting PostgreSQL". */
export type Progress = (message: string) => void;

/** Something on this machine is in the way; the message is one sentence for the person at the terminal. */
export class LocalError extends Error {
  override readonly name = 'LocalError';
}
