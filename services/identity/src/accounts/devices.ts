import { createHash } from 'node:crypto';
import { networkOf } from '@novacron/core';
import type { Origin } from '../store/sessions.ts';

/** From where somebody signs in, and what guesses count for: no clock, no database. */

type Hash = Buffer<ArrayBuffer>;

const hashOf = (...parts: readonly string[]): Hash => createHash('sha256').update(JSON.stringify(parts)).digest();

/** Tells one device of an account from another, as far as a request shows it: where it is, and what it calls itself. */
export const fingerprintOf = ({ address, device }: Origin): Hash => hashOf('device', networkOf(address), device ?? '');

/** What was typed to name an account, however it was spelt. It may have been a password: that is told to nobody. */
export const accountKeyOf = (login: string): Hash => hashOf('account', login.trim().toLowerCase());

/** Of the accounts that one address may mean: whose it is, or who waits for it. */
export type Place = 'owner' | 'waiting';

/**
 * What failures are counted for. A device that the account knows has a count of its own, and all others have one together: whoever guesses
 * from wherever else keeps nobody out who comes from where it always does.
 */
export const throttleKeyOf = (account: Hash, place: Place, device: Hash | null): Hash => hashOf('throttle', account.toString('hex'), place, device?.toString('hex') ?? '');

/** For who has signed in, and is asked for its password once more. */
export const sessionThrottleKeyOf = (sessionId: string): Hash => hashOf('throttle', 'session', sessionId);
