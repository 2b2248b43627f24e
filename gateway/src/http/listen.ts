import { DomainError } from '@novacron/core';

/** Waits until a server listens; CONFLICT or FORBIDDEN, naming the variable to set, when it can't. */
export async function listening(started: Promise<unknown>, port: number, variable: string): Promise<void> {
  try {
    await started;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException; // node:net rejects with nothing else
    if (code === 'EADDRINUSE') throw new DomainError('CONFLICT', `Port ${port} is already in use: set ${variable} to a free one.`, { cause });
    if (code === 'EACCES') throw new DomainError('FORBIDDEN', `Port ${port} needs a privilege (CAP_NET_BIND_SERVICE) that this process has not: set ${variable} to one above 1023.`, { cause });
    throw cause;
  }
}
