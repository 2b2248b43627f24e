/** Builds the test guest, with --all every one, ahead of the tests: setup runs it, so that no test pays for the download. */
import { bootImage } from './boot-image.ts';
import { guest } from './guest.ts';

const { bootDir } = await guest();
process.stdout.write(`${bootDir}\n`);
if (process.argv.includes('--all')) process.stdout.write(`${(await bootImage()).path}\n`);
