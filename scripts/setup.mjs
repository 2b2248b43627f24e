/**
 * Installs what is missing for `npm start`, with --guest for `npm run guest`, with --test for `npm test` and with --full for
 * `npm run test:full`: npm packages, Prisma clients, the playground, Debian packages, the test guest. With --image it leaves
 * Debian's packages to the Dockerfile. Plain JavaScript that runs on Node 20 with nothing installed. A second run finds
 * everything in place and takes a moment.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installDebianPackages } from './setup/debian-packages.mjs';
import { fingerprint, readStamps, takeTurn, writeStamp } from './setup/stamps.mjs';
import { run, step } from './setup/steps.mjs';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..'); // dirname: Node 20.11
const at = (...parts) => join(root, ...parts);
const withContainers = process.argv.includes('--full');
const withTests = withContainers || process.argv.includes('--test');
const withGuest = withTests || process.argv.includes('--guest');
/** Node 24, an npm package of ours; there once npm install has run. */
const node24 = at('node_modules/.bin/node');

const packageFiles = () => [
  at('package.json'),
  at('package-lock.json'),
  ...['app', 'gateway'].map((name) => at(name, 'package.json')),
  ...['packages', 'services'].flatMap((parent) => readdirSync(at(parent)).map((name) => at(parent, name, 'package.json'))),
];

async function npmPackages() {
  const isDone = () => existsSync(node24) && readStamps(root).npm === fingerprint(packageFiles());
  if (isDone()) return;
  await takeTurn(root, async () => {
    if (isDone()) return; // someone else did it meanwhile
    const ok = await step('Installing npm packages (about a minute the first time)', () =>
      run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root }),
    );
    if (!existsSync(node24)) {
      process.exitCode = 1;
      throw new Error(
        ok
          ? `There is no Node 24 for this machine (${process.platform} ${process.arch}) among the npm packages: NovaCron runs on Linux, x64 or arm64.`
          : 'npm install failed, and nothing can run without its packages: see its messages above.',
      );
    }
    if (ok) writeStamp(root, 'npm', fingerprint(packageFiles())); // npm may have written to package-lock.json
  });
}

async function prismaClients() {
  for (const service of existsSync(at('prisma')) ? readdirSync(at('prisma')).toSorted() : []) {
    const schema = at('prisma', service, 'schema.prisma');
    if (!existsSync(schema)) continue;
    const key = `prisma ${service}`;
    const output = /^\s*output\s*=\s*"([^"]+)"/m.exec(readFileSync(schema, 'utf8'))?.[1];
    const now = () => fingerprint([schema, at('prisma.config.ts'), at('node_modules/prisma/package.json')]);
    const isDone = () => readStamps(root)[key] === now() && (!output || existsSync(at('prisma', service, output)));
    if (isDone()) continue;
    await takeTurn(root, async () => {
      if (isDone()) return;
      const ok = await step(`Generating the database client of ${service}`, () =>
        run(node24, [at('node_modules/prisma/build/index.js'), 'generate'], {
          cwd: root,
          env: {
            PRISMA_SERVICE: service,
            PRISMA_SCHEMA_ENGINE_BINARY: at('scripts/schema-engine.mjs'), // nothing is downloaded
            PRISMA_HIDE_UPDATE_MESSAGE: '1',
            CHECKPOINT_DISABLE: '1',
          },
        }),
      );
      if (ok) writeStamp(root, key, now());
      else fail(`The database client of ${service} could not be generated; NovaCron cannot start without it.`);
    });
  }
}

function filesBelow(dir, skipped) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    if (skipped.includes(entry.name)) return [];
    const path = join(dir, entry.name);
    return entry.isDirectory() ? filesBelow(path, skipped) : [path];
  });
}

async function playground() {
  const dir = at('gateway/playground');
  if (!existsSync(join(dir, 'vite.config.ts'))) return;
  const now = () => fingerprint([...filesBelow(dir, ['dist', 'node_modules']), at('node_modules/vite/package.json'), at('package.json')]);
  const isDone = () => readStamps(root).playground === now() && existsSync(join(dir, 'dist/index.html'));
  if (isDone()) return;
  await takeTurn(root, async () => {
    if (isDone()) return;
    const ok = await step('Building the playground', () =>
      run(node24, [at('node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn'], { cwd: dir }),
    );
    if (ok) writeStamp(root, 'playground', now());
    else console.error('  The playground could not be built; everything else works without it.');
  });
}

async function testGuest() {
  const sources = filesBelow(at('packages/testkit/src/guest'), []);
  const key = withTests ? 'test guests' : 'test guest';
  const now = () => fingerprint(sources);
  const cache = process.env.NOVACRON_DATA ? join(process.env.NOVACRON_DATA, 'cache') : '/var/tmp/novacron-cache';
  const stamp = `${cache} ${now()}`;
  if (readStamps(root)[key] === stamp && existsSync(cache)) return;
  const ok = await step(`Building the test guest${withTests ? 's' : ''} (a small kernel and busybox)`, () =>
    run(node24, [at('packages/testkit/src/guest/build.ts'), ...(withTests ? ['--all'] : [])], { cwd: root }),
  );
  if (ok) writeStamp(root, key, stamp);
  else console.error('  Tests that run guests will fail.');
}

function fail(message) {
  process.exitCode = 1;
  throw new Error(message);
}

try {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20) fail(`NovaCron needs Node 20 or later to set itself up; this is ${major}.${minor}.`);
  if (process.platform !== 'linux') fail('NovaCron runs on Linux.');
  await npmPackages();
  await prismaClients();
  await playground();
  if (!process.argv.includes('--image')) await installDebianPackages({ withTests, withGuest, withContainers });
  if (withGuest) await testGuest();
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}
