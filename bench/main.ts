/** `npm run bench`: what NovaCron costs beside virsh, and what its gateway bears, measured in one run on this machine. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { testRun } from '@novacron/testkit';
import { openLab, type Lab } from './lab.ts';
import type { Scale } from './load/scale.ts';
import { describeHypervisor, describeMachine, loadNow } from './machine.ts';
import { MEASUREMENTS, NAMES, SHOWN, TOGETHER, type Found, type MeasurementName } from './measurements.ts';
import { intoReadme, toMarkdown, type Results } from './report.ts';

const HELP = `npm run bench                       measures everything, prints a table, writes bench/results.json
npm run bench -- --only NAME        one of ${NAMES.join(', ')}; writes nothing
npm run bench -- --rounds N         how often guests are created, moved, started and stopped (15)
npm run bench -- --clients N        WebSocket clients of a gateway; other loads go with it: 10000
npm run bench -- --seconds N        how long a load is kept up: 20
npm run bench -- --minutes N        how long the soak takes, which is made only when it is asked for: 10
npm run bench -- --write-readme     also puts the table into README.md

Needs root, libvirt and QEMU, except for the loads: subscriptions, broadcast, peer, http and soak. About twenty minutes.
`;

const README = join(import.meta.dirname, '../README.md');
const RESULTS = join(import.meta.dirname, 'results.json');

interface Arguments {
  only: MeasurementName | null;
  rounds: number;
  scale: Scale;
  writeReadme: boolean;
}

function readArguments(): Arguments | null {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      rounds: { type: 'string', default: '15' },
      clients: { type: 'string', default: '10000' },
      seconds: { type: 'string', default: '20' },
      minutes: { type: 'string', default: '10' },
      'write-readme': { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return null;
  const only = values.only === undefined ? null : NAMES.find((name) => name === values.only);
  if (only === undefined) throw new Error(`--only is one of ${NAMES.join(', ')}.`);
  const whole = (name: 'rounds' | 'clients' | 'seconds' | 'minutes', least: number): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < least) throw new Error(`--${name} is a whole number, ${least} or more.`);
    return value;
  };
  const rounds = whole('rounds', 1);
  const scale = { clients: Math.ceil(whole('clients', 1) / 100) * 100, seconds: whole('seconds', 1), minutes: whole('minutes', 2) };
  const writeReadme = values['write-readme'] ?? false;
  if (writeReadme && only !== null) throw new Error('The README shows the whole of it: --write-readme goes without --only.');
  return { only, rounds, scale, writeReadme };
}

async function measure({ only, rounds, scale }: Arguments): Promise<Results> {
  const tell = (what: string): void => void process.stderr.write(`  ${what} ...\n`);
  const machine = describeMachine();
  await using opened = new AsyncDisposableStack();
  const run = await testRun();
  opened.defer(() => run.close());
  let opening: Promise<Lab> | undefined;
  const lab = (): Promise<Lab> =>
    (opening ??= (async () => {
      tell('Starting libvirt hosts and NovaCron');
      const open = opened.use(await openLab());
      machine.hypervisor = await describeHypervisor(open);
      return open;
    })());
  const found = new Map<MeasurementName, Found>();
  for (const name of only === null ? TOGETHER : [only]) {
    tell(MEASUREMENTS[name].says);
    found.set(name, await MEASUREMENTS[name].measure({ lab, rounds, scale }));
  }
  const shown = [...found].toSorted(([one], [other]) => SHOWN[one] - SHOWN[other]).map(([, one]) => one);
  return {
    measuredAt: new Date().toISOString(),
    machine,
    loadAfter: loadNow(),
    figures: shown.flatMap(({ figures = [] }) => figures),
    loads: shown.flatMap(({ loads = [] }) => loads),
    notes: shown.flatMap(({ notes = [] }) => notes),
    memory: found.get('acceptance')?.memory ?? null,
  };
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
