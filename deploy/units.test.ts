import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { parseArguments, ROLES, type Role } from '../app/src/arguments.ts';
import { readEnvironment, VARIABLES } from '../app/src/environment.ts';

const ANALYZE = ['/usr/bin/systemd-analyze', '/bin/systemd-analyze'].find((path) => existsSync(path));
const HOST = 'rack1';
const PROGRAM = '/opt/novacron/node_modules/.bin/node --max-semi-space-size=16 app/src/main.ts';
const root = join(import.meta.dirname, '..');

/** Section -> directive -> its values, in order. */
type Unit = Map<string, Map<string, string[]>>;

/** Reads a unit as systemd.syntax(7) says; a line that is none of it is an error with its number. */
function parseUnit(text: string): Unit {
  const unit: Unit = new Map();
  let section: Map<string, string[]> | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const heading = /^\[(Unit|Service|Install)\]$/.exec(line)?.[1];
    const [, name, value] = /^([A-Z][A-Za-z0-9]+)=(.*)$/.exec(line) ?? [];
    if (heading !== undefined) unit.set(heading, (section = new Map()));
    else if (section && name !== undefined && value !== undefined) section.set(name, [...(section.get(name) ?? []), value]);
    else throw new Error(`Line ${index + 1} is neither a section nor a directive: ${line}`);
  }
  return unit;
}

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.service'));
/** What systemd makes of a template's text for one host; of other units' the same text. */
const instance = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8').replaceAll('%i', HOST);
const units = files.map((file) => ({ file, unit: parseUnit(instance(file)) }));

const valuesOf = (unit: Unit, section: string, name: string): string[] => unit.get(section)?.get(name) ?? [];
const argumentsOf = (unit: Unit): string[] => {
  const command = valuesOf(unit, 'Service', 'ExecStart').join(' ');
  if (!command.startsWith(PROGRAM)) throw new Error(`ExecStart is not ${PROGRAM}: ${command}`);
  return command.slice(PROGRAM.length).split(' ').filter((word) => word !== '');
};
const environmentOf = (unit: Unit): Record<string, string> =>
  Object.fromEntries(
    valuesOf(unit, 'Service', 'Environment')
      .flatMap((line) => line.split(' '))
      .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );

describe.each(units)('$file', ({ file, unit }) => {
  it('starts what it is named after', () => {
    const { roles, host } = parseArguments(argumentsOf(unit));
    const role = /^novacron-([a-z]+)(@)?\.service$/.exec(file)?.[1];
    expect(roles).toEqual(role === undefined ? [] : [role]);
    expect(host).toBe(file.includes('@') ? HOST : null);
  });

  it('sets variables that there are, to values that they take', () => {
    const environment = environmentOf(unit);
    expect(Object.keys(environment).filter((name) => !(name in VARIABLES))).toEqual([]);
    expect(() => readEnvironment(environment)).not.toThrow();
  });

  it('comes back after a failure, and keeps its data where it may write', () => {
    expect(valuesOf(unit, 'Service', 'Restart')).toEqual(['on-failure']);
    const [state] = valuesOf(unit, 'Service', 'StateDirectory');
    expect(readEnvironment({ NOVACRON_DATA: '/var/lib/novacron', ...environmentOf(unit) }).data).toBe(`/var/lib/${state}`);
  });
});

test('every role has a unit', () => {
  const started: Role[] = units.flatMap(({ unit }) => parseArguments(argumentsOf(unit)).roles);
  expect(started.toSorted()).toEqual([...ROLES].toSorted());
});

test('the units of the roles are hardened alike', () => {
  const own = new Set(['ExecStart', 'Environment', 'StateDirectory', 'DynamicUser', 'User', 'PrivateDevices', 'DevicePolicy', 'DeviceAllow', 'AmbientCapabilities', 'CapabilityBoundingSet']);
  const hardening = units
    .filter(({ file }) => file !== 'novacron.service')
    .map(({ unit }) => [...(unit.get('Service') ?? [])].filter(([name]) => !own.has(name)));
  for (const other of hardening) expect(other).toEqual(hardening[0]);
});

test('only the agent may change anything of the machine: its networks', () => {
  const able = units.filter(({ file, unit }) => file !== 'novacron.service' && valuesOf(unit, 'Service', 'CapabilityBoundingSet').join('') !== '');
  expect(able.map(({ file }) => file)).toEqual(['novacron-agent@.service']);
  expect(valuesOf(able[0]!.unit, 'Service', 'CapabilityBoundingSet')).toEqual(['CAP_NET_ADMIN']); // as just seen
});

test('subgraphs of one machine have ports of their own, where its gateway looks for them', () => {
  const gateway = units.find(({ file }) => file === 'novacron-gateway.service');
  const { subgraphs } = readEnvironment(gateway && environmentOf(gateway.unit));
  for (const [name, url] of Object.entries(subgraphs.urls)) {
    const unit = units.find(({ file }) => file === `novacron-${name}.service`);
    expect(url).toBe(`http://127.0.0.1:${unit && environmentOf(unit.unit)['NOVACRON_SUBGRAPH_PORT']}`);
  }
});

test('guests of a private libvirtd outlive the unit that holds everything', () => {
  const everything = units.find(({ file }) => file === 'novacron.service');
  expect(everything && valuesOf(everything.unit, 'Service', 'KillMode')).toEqual(['process']);
});

describe.runIf(ANALYZE)('systemd-analyze', () => {
  const directory = mkdtempSync(join(tmpdir(), 'novacron-units-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  it('finds no fault in any unit', () => {
    const written = files.map((file) => {
      const path = join(directory, file.replace('@', `@${HOST}`));
      // it looks for the program, which is in this clone
      writeFileSync(path, instance(file).replaceAll('/opt/novacron', root));
      return path;
    });
    const { status, stdout, stderr } = spawnSync(ANALYZE ?? '', ['verify', '--man=no', '--recursive-errors=no', ...written], { encoding: 'utf8' });
    // an unknown directive is a line, not an exit code; lines about other units of this machine are not ours
    expect(`${stdout}${stderr}`.split('\n').filter((line) => line.includes('novacron'))).toEqual([]);
    expect(status).toBe(0);
  });
});
