/** How often an authenticator's codes may be guessed: by somebody who knows the password already. */

/** Wrong codes in a row that cost nothing: people mistype, and their clocks are off. */
const FREE = 4;
const FIRST_WAIT_MS = 30_000;
const LONGEST_WAIT_MS = 3_600_000;

/**
 * For how long no code is looked at after so many wrong ones in a row. Twice as long each time, an hour at most: of the
 * three codes in a million that are right at a moment, whoever guesses for a year finds one with 3 %. The owner is not
 * locked out meanwhile: backup codes have no such wait, since nobody guesses those.
 */
export const waitMsAfter = (failures: number): number =>
  failures <= FREE ? 0 : Math.min(FIRST_WAIT_MS * 2 ** (failures - FREE - 1), LONGEST_WAIT_MS);
