/**
 * npm run environment: writes the README's table of variables and .env.example from app/src/environment.ts. With --check
 * it writes nothing and fails where one of them differs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VARIABLES } from '../app/src/environment.ts';

interface Described {
  description: string;
  otherwise: string;
}

const BEGIN = '<!-- environment -->';
const END = '<!-- /environment -->';
const described: [string, Described][] = Object.entries(VARIABLES);

/** The table, as Markdown. `|` would end a cell, and `<` begin a tag. */
export function environmentTable(variables = described): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
  const rows = variables.map(([name, { description, otherwise }]) => `| \`${name}\` | ${cell(description)} | ${cell(otherwise)} |`);
  return ['| Variable | What it does | When it is not set |', '| --- | --- | --- |', ...rows].join('\n');
}

/** Every variable as a comment: copied as it is, the file changes nothing. */
export function environmentExample(variables = described): string {
  const head = '# All that NovaCron reads from its environment. An empty variable is one that is not set.\n# Written by npm run environment.\n';
  return head + variables.map(([name, { description, otherwise }]) => `\n# ${description}\n# Not set: ${otherwise}.\n#${name}=\n`).join('');
}

/** The text with the table between its markers. */
export function withTable(text: string, table = environmentTable()): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`The README needs ${BEGIN} and, after it, ${END}.`);
  return `${text.slice(0, begin + BEGIN.length)}\n${table}\n${text.slice(end)}`;
}

function main(): void {
  const root = join(import.meta.dirname, '..');
  const committed = (file: string): string => {
    try {
      return readFileSync(join(root, file), 'utf8');
    } catch {
      return ''; // not there yet: it differs
    }
  };
  const wanted = { 'README.md': withTable(committed('README.md')), '.env.example': environmentExample() };
  const different = Object.entries(wanted).filter(([file, text]) => committed(file) !== text);
  const names = different.map(([file]) => file).join(', ');
  if (!process.argv.includes('--check')) {
    for (const [file, text] of different) writeFileSync(join(root, file), text);
    console.log(names === '' ? 'Both are as app/src/environment.ts says.' : `Written: ${names}`);
  } else if (names !== '') {
    console.error(`app/src/environment.ts says something else than ${names}. Run: npm run environment`);
    process.exitCode = 1;
  }
}

if (import.meta.main) main();
