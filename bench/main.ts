/** `npm run bench`: what NovaCron costs beside virsh, measured in one run on this machine. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureAcceptance, type AcceptanceSamples } from './acceptance.ts';
import { measureDelivery } from './delivery.ts';
import { acceptanceFigures, deliveryFigures, powerFigures, type Figure } from './figures.ts';
import { openLab } from './lab.ts';
import { describeMachine, loadNow } from './machine.ts';
import { measurePower } from './power.ts';
import { intoReadme, toMarkdown, type Results } from './report.ts';

const MEASUREMENTS = ['acceptance', 'power', 'delivery'] as const;
type Measurement = (typeof MEASUREMENTS)[number];

const HELP = `npm run bench                       measures everything, prints a table, writes bench/results.json
npm run bench -- --only NAME        one of ${MEASUREMENTS.join(', ')}; writes nothing
npm run bench -- --rounds N         how often guests are created, started and stopped (15)
npm run bench -- --write-readme     also puts the table into README.md

Needs root, libvirt and QEMU. About five minutes.
`;

const README = join(import.meta.dirname, '../README.md');
const RESULTS = join(import.meta.dirname, 'results.json');

interface Arguments {
  only: Measurement | null;
  rounds: number;
  writeReadme: boolean;
}

function readArguments(): Arguments | null {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, rounds: { type: 'string', default: '15' }, 'write-readme': { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help) return null;
  const only = values.only === undefined ? null : MEASUREMENTS.find((name) => name === values.only);
  if (only === undefined) throw new Error(`--only is one of ${MEASUREMENTS.join(', ')}.`);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds is a whole number, 1 or more.');
  const writeReadme = values['write-readme'] ?? false;
  if (writeReadme && only !== null) throw new Error('The README shows the whole of it: --write-readme goes without --only.');
  return { only, rounds, writeReadme };
}

async function measure({ only, rounds }: Arguments): Promise<Results> {
  const wants = (name: Measurement): boolean => only === null || only === name;
  const tell = (what: string): void => void process.stderr.write(`  ${what} ...\n`);
  tell('Starting a libvirt host and NovaCron');
  await using lab = await openLab();
  const machine = await describeMachine(lab);
  const figures: Figure[] = [];
  let memory: AcceptanceSamples['memory'] | null = null;
  if (wants('acceptance')) {
    tell('Mutations accepted');
    const samples = await measureAcceptance(lab);
    figures.push(...acceptanceFigures(samples));
    memory = samples.memory;
  }
  if (wants('power')) {
    tell(`Guests created, started and stopped, ${rounds} rounds`);
    figures.unshift(...powerFigures(await measurePower(lab, rounds)));
  }
  if (wants('delivery')) {
    tell('Changes delivered');
    figures.push(...deliveryFigures(await measureDelivery(lab)));
  }
  return { measuredAt: new Date().toISOString(), machine, loadAfter: loadNow(), figures, memory };
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
