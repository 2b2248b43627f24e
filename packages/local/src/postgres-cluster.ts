import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unprivilegedUser } from './data-dir.ts';
import { LocalError, type Progress } from './progress.ts';
import { ownDirectory, writeSecret } from './secrets.ts';

export interface Cluster {
  programs: string;
  data: string;
  /** The superuser. */
  user: string;
  password: string;
  onProgress: Progress;
}

/** A cluster that is there, or a new one: made aside and renamed, so that there is never half of one. */
export function createCluster({ programs, data, user, password, onProgress }: Cluster): void {
  const version = spawnSync(join(programs, 'bin/postgres'), ['--version'], { encoding: 'utf8', ...unprivilegedUser() });
  const major = /\d+/.exec(version.stdout)?.[0] ?? '';
  if (existsSync(join(data, 'PG_VERSION'))) {
    const found = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
    if (found === major) return;
    throw new LocalError(
      `${data} was made by PostgreSQL ${found}, and this NovaCron brings PostgreSQL ${major}: ` +
        'dump it with the NovaCron that made it and restore it here.',
    );
  }
  onProgress('Creating the database cluster');
  const unfinished = `${data}.new`;
  const passwordFile = `${data}.password`;
  rmSync(unfinished, { recursive: true, force: true });
  ownDirectory(unfinished);
  writeSecret(passwordFile, password, unprivilegedUser());
  try {
    const made = spawnSync(
      join(programs, 'bin/initdb'),
      ['-D', unfinished, '-U', user, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8', '--locale=C', '--no-instructions'],
      { ...unprivilegedUser(), cwd: '/', encoding: 'utf8', env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } },
    );
    if (made.status !== 0) throw new LocalError(`PostgreSQL could not create its files in ${data}: ${made.stderr.trim()}`);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(unfinished, data);
}
