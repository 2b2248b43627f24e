/**
 * npm test: every check, then every test. The last line says how many passed and how many failed, checks
 * and tests together. With arguments (parts of test files' paths) it runs just those tests.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Check {
  name: string;
  /** A program of node_modules/.bin, or a path, and its arguments; it fails by its exit code. */
  command: readonly [string, ...string[]];
}

/** What must hold besides the tests. Cheap ones first. */
const CHECKS: readonly Check[] = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'lint', command: ['oxlint', '--deny-warnings'] },
];

interface Count {
  passed: number;
  failed: number;
}

const root = join(import.meta.dirname, '..');
const filters = process.argv.slice(2);

/** Children get our PATH with the project's programs first, Node 24 among them. */
const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}` };

function runCheck({ name, command: [program, ...args] }: Check): boolean {
  const started = performance.now();
  const result = spawnSync(program, args, { cwd: root, env, encoding: 'utf8' });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const passed = result.status === 0;
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
  if (!passed) console.log(result.error?.message ?? `${result.stdout}${result.stderr}`.trimEnd());
  return passed;
}

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
    const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...filters];
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

const checks = filters.length > 0 ? [] : CHECKS.map(runCheck);
const tests = runTests();
const passed = tests.passed + checks.filter(Boolean).length;
const failed = tests.failed + checks.filter((held) => !held).length;
process.exitCode = failed === 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
