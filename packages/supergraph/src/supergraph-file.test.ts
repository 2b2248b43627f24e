import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeServices } from '@apollo/composition';
import { eventually } from '@novacron/testkit';
import { parse } from 'graphql';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { InvalidSupergraph } from './supergraph.ts';
import { openSupergraphFile, type SupergraphFile } from './supergraph-file.ts';

const withField = (field: string): string => composeServices([{ name: 'a', url: 'http://a.example', typeDefs: parse(`type Query { ${field}: Int }`) }]).supergraphSdl ?? '';
const logger = pino({ level: 'silent' });

let directory: string;
let path: string;
let opened: SupergraphFile | null;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'novacron-supergraph-'));
  path = join(directory, 'supergraph.graphql');
  opened = null;
});
afterEach(async () => {
  opened?.close();
  await rm(directory, { recursive: true });
});

const open = async (options: { accept?(): void } = {}): Promise<SupergraphFile> => (opened = await openSupergraphFile({ path, logger, ...options }));
const fieldsOf = ({ current }: SupergraphFile): string[] => Object.keys(current.apiSchema.getQueryType()?.getFields() ?? {});

it('follows its file, and tells whoever listens', async () => {
  await writeFile(path, withField('one'));
  const file = await open();
  const heard: string[] = [];
  const stop = file.onChange(({ hash }) => heard.push(hash));
  expect(fieldsOf(file)).toEqual(['one']);

  await writeFile(`${path}.new`, withField('two'));
  await rename(`${path}.new`, path);
  await eventually('the second graph', () => fieldsOf(file).includes('two'));
  expect(heard).toEqual([file.current.hash]);
  expect(file.state.refusal).toBeNull();

  stop();
  await writeFile(path, withField('three'));
  await eventually('the third graph', () => fieldsOf(file).includes('three'));
  expect(heard).toHaveLength(1);
});

it('follows the links that Kubernetes swaps', async () => {
  for (const version of ['one', 'two']) {
    await mkdir(join(directory, version));
    await writeFile(join(directory, version, 'supergraph.graphql'), withField(version));
  }
  await symlink('one', join(directory, '..data'));
  await symlink(join('..data', 'supergraph.graphql'), path);
  const file = await open();
  await symlink('two', join(directory, '..next'));
  await rename(join(directory, '..next'), join(directory, '..data'));
  expect(await eventually('another graph', () => fieldsOf(file)[0] !== 'one' && fieldsOf(file))).toEqual(['two']);
});

it('keeps what it has while the file holds what can not be served, and says why', async () => {
  await writeFile(path, withField('one'));
  const file = await open();
  const { loadedAt } = file.state;

  await writeFile(path, 'type Query {');
  const { refusal } = await eventually('the refusal', () => file.state.refusal !== null && file.state);
  expect(refusal).toBe(`The supergraph in ${path} can't be served: It is no valid federation 2 supergraph: Syntax Error: Expected Name, found <EOF> (line 1, column 13).`);
  expect([fieldsOf(file), file.state.loadedAt]).toEqual([['one'], loadedAt]);

  await rm(path);
  await eventually('the file to be missed', () => file.state.refusal?.endsWith('there is no such file.'));
  expect(fieldsOf(file)).toEqual(['one']);

  await writeFile(path, withField('one'));
  await eventually('the same graph again', () => file.state.refusal === null);
  await writeFile(path, withField('two'));
  await eventually('the second graph', () => fieldsOf(file).includes('two'));
  expect(file.state.loadedAt.getTime()).toBeGreaterThan(loadedAt.getTime());
});

it('refuses what its owner does', async () => {
  await writeFile(path, withField('one'));
  let isWelcome = true;
  const file = await open({
    accept() {
      if (!isWelcome) throw new InvalidSupergraph('Nobody answers "a".');
    },
  });
  isWelcome = false;
  await writeFile(path, withField('two'));
  await eventually('the refusal', () => file.state.refusal?.endsWith('Nobody answers "a".'));
  expect(fieldsOf(file)).toEqual(['one']);
});

it.each([
  ['is missing', async () => {}, 'there is no such file'],
  ['is a directory', () => mkdir(path), 'it is a directory'],
  ['is no supergraph', () => writeFile(path, 'type Query { a: Int }'), 'it has no @link to https://specs.apollo.dev/join'],
])('does not begin with a file that %s', async (_what, prepare, why) => {
  await prepare();
  const opening = open();
  await expect(opening).rejects.toThrow(InvalidSupergraph);
  await expect(opening).rejects.toThrow(why);
  await expect(opening).rejects.toThrow(path);
});
