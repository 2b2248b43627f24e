/**
 * npm test: every check, then every test. The last line says how many passed and how many failed, checks
 * and tests together. With arguments (parts of test files' paths) it runs just those tests; --full adds the slow ones,
 * --coverage measures what they reach.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env, root, runChecks } from './checks.ts';

interface Count {
  passed: number;
  failed: number;
}

const flags = new Set(process.argv.slice(2).filter((argument) => argument.startsWith('--')));
const filters = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
/** Tests that take too long for every day. */
const FULL = 'full.test.ts';

/** The parts of vitest's JSON report that count; its shape is that of Jest's. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  testResults: readonly { name: string; status: string; assertionResults: readonly { status: string }[] }[];
}

/** Runs the tests. A file that does not even load, or an error outside any test, counts as one failure. */
function runTests(): Count {
  const reports = mkdtempSync(join(tmpdir(), 'novacron-report-'));
  const file = join(reports, 'report.json');
  try {
    const args = [
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
      ...(flags.has('--coverage') ? ['--coverage'] : []),
      ...(flags.has('--full') ? [] : ['--exclude', `**/*.${FULL}`]),
      ...filters,
    ];
    const { status } = spawnSync('vitest', args, { cwd: root, env, stdio: 'inherit' });
    const report = readReport(file);
    if (report === undefined) return { passed: 0, failed: 1 };
    const unloaded = report.testResults.filter(
      (result) => result.status === 'failed' && !result.assertionResults.some((test) => test.status === 'failed'),
    ).length;
    const failed = report.numFailedTests + unloaded;
    return { passed: report.numPassedTests, failed: failed === 0 && status !== 0 ? 1 : failed };
  } finally {
    rmSync(reports, { recursive: true, force: true });
  }
}

function readReport(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report; // vitest's json reporter wrote it
  } catch {
    return undefined; // vitest ended before it could report; what it printed says why
  }
}

const checks = filters.length > 0 ? { passed: 0, failed: 0 } : runChecks();
const tests = runTests();
const passed = tests.passed + checks.passed;
const failed = tests.failed + checks.failed;
process.exitCode = failed === 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
