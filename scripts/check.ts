/** npm run check: types, lint, committed schemas and documentation. What to run before each commit. */
import { runChecks } from './checks.ts';

const { passed, failed } = runChecks();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
