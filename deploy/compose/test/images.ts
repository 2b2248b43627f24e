import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from '@novacron/local';
import { guestCache } from '@novacron/testkit';
import { runIsolated, type Engine } from './engine.ts';

const root = join(import.meta.dirname, '../../..');
const MIRROR = 'http://deb.debian.org/debian';
/** For each image: several times what it takes where two cores have nothing else to do. */
const BUILD_MS = 480_000;
/** As Node 24 has it. */
const NPM = 'npm@11';
const IMAGES = { base: 'localhost/base', novacron: 'localhost/novacron', libvirt: 'localhost/novacron-libvirt', standIns: 'localhost/stand-ins' } as const;

/**
 * Builds deploy/Dockerfile as it is in the working tree, and stand-ins for what docker-compose.yml takes from a registry: nothing
 * is fetched but packages of Debian and npm. Answers the variables that name the images to docker-compose.
 */
export async function buildImages(engine: Engine): Promise<Record<string, string>> {
  await buildBase(engine);
  const npmCache = execFileSync('npm', ['config', 'get', 'cache'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  mkdirSync(npmCache, { recursive: true });
  const dockerfile = ['--file', join(root, 'deploy/Dockerfile')];
  await Promise.all([
    build(engine, IMAGES.novacron, [...dockerfile, '--volume', `${npmCache}:/root/.npm`], root),
    build(engine, IMAGES.libvirt, [...dockerfile, '--target', 'libvirt'], root).then(() =>
      build(engine, IMAGES.standIns, ['--file', join(import.meta.dirname, 'stand-ins.Dockerfile')], import.meta.dirname),
    ),
  ]);
  return { NOVACRON_IMAGE: IMAGES.novacron, LIBVIRT_IMAGE: IMAGES.libvirt, POSTGRES_IMAGE: IMAGES.standIns, REDIS_IMAGE: IMAGES.standIns };
}

/** As Docker's node:24-bookworm-slim is. */
async function buildBase(engine: Engine): Promise<void> {
  const context = join(engine.dir, 'base');
  mkdirSync(context);
  copyFileSync(await baseArchive(), join(context, 'base.tar'));
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nADD base.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n');
  await build(engine, IMAGES.base, ['--file', join(context, 'Dockerfile')], context);
  rmSync(context, { recursive: true });
}

/**
 * Debian 12 with Node and npm below /usr/local, made once and kept in the cache. With this machine's certificates, as it may
 * be behind a proxy that has its own.
 */
async function baseArchive(): Promise<string> {
  const certificates = '/etc/ssl/certs/ca-certificates.crt';
  const hooks = [
    `cp ${process.execPath} "$1/usr/local/bin/node"`,
    `npm install --global --prefix "$1/usr/local" --no-audit --no-fund --loglevel=error ${NPM}`,
    `cp ${certificates} "$1/etc/ssl/certs/"`,
    `mkdir -p "$1/usr/local/etc" && echo cafile=${certificates} >"$1/usr/local/etc/npmrc"`,
  ];
  const key = createHash('sha256').update(JSON.stringify([hooks, MIRROR, process.version])).update(readFileSync(certificates)).digest('hex').slice(0, 16);
  const cache = guestCache();
  const archive = join(cache, `container-base-${key}.tar`);
  mkdirSync(cache, { recursive: true, mode: 0o755 });
  await withLock(`base:${archive}`, async () => {
    if (existsSync(archive)) return;
    const work = mkdtempSync(`${archive}.`);
    try {
      const options = ['--quiet', '--mode=root', '--variant=minbase', '--include=ca-certificates', ...hooks.map((hook) => `--customize-hook=${hook}`)];
      await runIsolated('mmdebstrap', [...options, 'bookworm', join(work, 'base.tar'), MIRROR], { timeoutMs: BUILD_MS, env: { TMPDIR: work } });
      renameSync(join(work, 'base.tar'), archive);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return archive;
}

async function build({ storage }: Engine, tag: string, options: readonly string[], context: string): Promise<void> {
  // "docker" is the format that knows health checks
  const how = ['--isolation', 'chroot', '--format', 'docker', '--pull-never', '--build-arg', `BASE=${IMAGES.base}`];
  await runIsolated('buildah', [...storage, 'bud', ...how, '--tag', tag, ...options, context], { timeoutMs: BUILD_MS });
}
