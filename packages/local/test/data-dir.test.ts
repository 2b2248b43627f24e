import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { testRun } from '@novacron/testkit';
import { expect, test } from 'vitest';
import { checkSocketPath, claimDataDirectory, dataDirectory, prepareDataDirectory } from '../src/data-dir.ts';

const isRoot = process.getuid?.() === 0;

test('NOVACRON_DATA, or the place for this user', () => {
  expect(dataDirectory({ NOVACRON_DATA: '/srv/nova/' })).toBe('/srv/nova');
  const usual = dataDirectory({ XDG_DATA_HOME: '/home/me/data' });
  expect(usual).toBe(isRoot ? '/var/lib/novacron' : '/home/me/data/novacron');
});

test.runIf(isRoot)('a closed parent is named', async () => {
  const closed = join((await testRun()).makeDirectory('data'), 'closed');
  mkdirSync(closed, { mode: 0o700 });
  expect(() => prepareDataDirectory(join(closed, 'novacron'))).toThrow(`cannot enter ${closed}:`);
  chmodSync(closed, 0o711);
  prepareDataDirectory(join(closed, 'novacron'));
});

test('a directory that cannot be made is named', () => {
  expect(() => prepareDataDirectory('/dev/null/novacron')).toThrow('The data directory /dev/null/novacron cannot be used');
});

test('a socket path must fit in sun_path', () => {
  checkSocketPath(`/${'x'.repeat(98)}`);
  expect(() => checkSocketPath(`/${'x'.repeat(99)}`)).toThrow('has 100 bytes, and fewer than 100 are allowed');
});

test('a data directory has one NovaCron', async () => {
  const dir = (await testRun()).makeDirectory('data');
  const claim = await claimDataDirectory(dir);
  await expect(claimDataDirectory(dir)).rejects.toThrow(`Another NovaCron (process ${process.pid}) already runs over ${dir}`);
  await claim.release();
  await (await claimDataDirectory(dir)).release();
});
