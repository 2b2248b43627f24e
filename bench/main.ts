/** `npm run bench`: what NovaCron costs beside virsh, measured in one run on this machine. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openLab } from './lab.ts';
import { describeMachine, loadNow } from './machine.ts';
import { MEASUREMENTS, NAMES, SHOWN, type Found, type MeasurementName } from './measurements.ts';
import { intoReadme, toMarkdown, type Results } from './report.ts';

const HELP = `npm run bench                       measures everything, prints a table, writes bench/results.json
npm run bench -- --only NAME        one of ${NAMES.join(', ')}; writes nothing
npm run bench -- --rounds N         how often guests are created, moved, started and stopped (15)
npm run bench -- --write-readme     also puts the table into README.md

Needs root, libvirt and QEMU. About fifteen minutes.
`;

const README = join(import.meta.dirname, '../README.md');
const RESULTS = join(import.meta.dirname, 'results.json');

interface Arguments {
  only: MeasurementName | null;
  rounds: number;
  writeReadme: boolean;
}

function readArguments(): Arguments | null {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, rounds: { type: 'string', default: '15' }, 'write-readme': { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help) return null;
  const only = values.only === undefined ? null : NAMES.find((name) => name === values.only);
  if (only === undefined) throw new Error(`--only is one of ${NAMES.join(', ')}.`);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds is a whole number, 1 or more.');
  const writeReadme = values['write-readme'] ?? false;
  if (writeReadme && only !== null) throw new Error('The README shows the whole of it: --write-readme goes without --only.');
  return { only, rounds, writeReadme };
}

async function measure({ only, rounds }: Arguments): Promise<Results> {
  const tell = (what: string): void => void process.stderr.write(`  ${what} ...\n`);
  tell('Starting libvirt hosts and NovaCron');
  await using lab = await openLab();
  const machine = await describeMachine(lab);
  const found = new Map<MeasurementName, Found>();
  for (const name of only === null ? NAMES : [only]) {
    tell(MEASUREMENTS[name].says);
    found.set(name, await MEASUREMENTS[name].measure(lab, rounds));
  }
  const shown = [...found].toSorted(([one], [other]) => SHOWN[one] - SHOWN[other]).map(([, { figures }]) => figures);
  const notes = [...found.values()].flatMap((one) => one.notes ?? []);
  const memory = found.get('acceptance')?.memory ?? null;
  return { measuredAt: new Date().toISOString(), machine, loadAfter: loadNow(), figures: shown.flat(), notes, memory };
}

async function main(): Promise<void> {
  const wanted = readArguments();
  if (wanted === null) return void process.stdout.write(HELP);
  const results = await measure(wanted);
  const markdown = toMarkdown(results);
  process.stdout.write(`${markdown}\n`);
  if (wanted.only !== null) return;
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
  if (wanted.writeReadme) writeFileSync(README, intoReadme(readFileSync(README, 'utf8'), markdown));
}

await main();
