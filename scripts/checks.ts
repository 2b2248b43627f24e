import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

interface Check {
  name: string;
  /** A program of node_modules/.bin, or node and a script, with its arguments; it fails by its exit code. */
  command: readonly [string, ...string[]];
}

/** What must hold besides the tests. Cheap ones first. */
const CHECKS: readonly Check[] = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: "types of the playground", command: ['tsc', '-p', 'gateway/playground'] },
  { name: 'lint', command: ['oxlint', '--deny-warnings'] },
  { name: 'committed schemas', command: ['node', 'scripts/schema.ts', '--check'] },
  { name: 'documented environment', command: ['node', 'scripts/environment.ts', '--check'] },
];

export const root = join(import.meta.dirname, '..');

/** Children get our PATH with the project's programs first, Node 24 among them. */
export const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}` };

function holds({ name, command: [program, ...args] }: Check): boolean {
  const started = performance.now();
  const result = spawnSync(program, args, { cwd: root, env, encoding: 'utf8' });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const passed = result.status === 0;
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
  if (!passed) console.log(result.error?.message ?? `${result.stdout}${result.stderr}`.trimEnd());
  return passed;
}

/** Runs every check and says how each went. */
export function runChecks(): { passed: number; failed: number } {
  const results = CHECKS.map(holds);
  const passed = results.filter(Boolean).length;
  return { passed, failed: results.length - passed };
}
