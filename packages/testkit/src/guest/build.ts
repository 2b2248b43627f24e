/** Builds the test guest ahead of the tests: setup runs it, so that no test pays for the download. */
import { guest } from './guest.ts';

const { bootDir } = await guest();
process.stdout.write(`${bootDir}\n`);
