import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const readme = read('README.md');
const licences = readme.slice(readme.indexOf('\n## Licences'));

interface Package {
  license?: string;
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}
const packageOf = (file: string): Package => JSON.parse(read(file)) as Package; // npm reads the same file
const project = packageOf('package.json');

/** A column of the README's table of licences: package -> licence. */
const claimed = new Map(
  [...licences.matchAll(/^\| ([A-Z][\w.-]+) \| (.+) \|$/gm)].flatMap(([, licence = '', names = '']) => names.split(', ').map((name) => [name, licence] as const)),
);

describe('the licences in the README', () => {
  it.each(Object.keys({ ...project.dependencies, ...project.optionalDependencies }))('%s', (name) => {
    const file = join('node_modules', name, 'package.json');
    const installed = existsSync(join(root, file)); // Node of the other architecture is not
    expect(claimed.get(name)).toBe(installed ? packageOf(file).license : 'MIT');
  });
});

describe('every link leads to a file', () => {
  const files = ['README.md', 'CONTRIBUTING.md', ...globSync(['docs/**/*.md', 'deploy/*.md'], { cwd: root })];
  it.each(files)('%s', (file) => {
    const targets = [...read(file).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target).filter((target) => !/^\w+:/.test(target));
    expect(targets.filter((target) => !existsSync(join(root, dirname(file), target)))).toEqual([]);
  });
});

test('every command of npm in the README is one', () => {
  const commands = [...readme.matchAll(/npm (?:run ([a-z]+(?::[a-z]+)?)|(start|test))/g)].map(([, named, short = '']) => named ?? short);
  expect(commands.length).toBeGreaterThan(10);
  expect(commands.filter((name) => !(name in (project.scripts ?? {})))).toEqual([]);
});

test('every part of the repository that the README names is there', () => {
  const parts = [...readme.matchAll(/^\| `([a-z][\w/-]*)` \|/gm)].map(([, part = '']) => part);
  expect(parts.length).toBeGreaterThan(15);
  expect(parts.filter((part) => !existsSync(join(root, part)))).toEqual([]);
  const packages = globSync(['packages/*', 'services/*'], { cwd: root });
  expect(packages.filter((name) => !parts.includes(name))).toEqual([]);
});
