import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { parse } from 'yaml';
import { parseArguments, ROLES } from '../../app/src/arguments.ts';
import { readEnvironment, VARIABLES } from '../../app/src/environment.ts';

/** What is looked at here of a service in a compose file (https://docs.docker.com/reference/compose-file/services/). */
interface Service {
  image: string;
  build?: { context: string; dockerfile: string; target?: string };
  command?: string[];
  entrypoint?: string[];
  environment?: Record<string, string | number>;
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test?: string[]; disable?: boolean };
  read_only?: boolean;
  cap_drop?: string[];
}

const read = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8');
const composeText = read('docker-compose.yml');
const compose = parse(composeText, { merge: true }) as { services: Record<string, Service>; volumes: Record<string, unknown> }; // each is looked at below
const dockerfile = read('../Dockerfile');
const instructions = dockerfile.replaceAll(/\\\n\s*/g, '').split('\n').filter((line) => /^[A-Z]/.test(line));

function serviceOf(name: string): Service {
  const service = compose.services[name];
  if (service === undefined) throw new Error(`There is no service ${name}.`);
  return service;
}

/** As docker-compose fills variables in: with what stands for a secret, or with their default. */
const filled = (value: string | number): string => String(value).replaceAll(/\$\{(\w+)(?::([?-])([^}]*))?\}/g, (_all, _name, kind: string | undefined, text: string) => (kind === '-' ? text : 'secret'));
const environmentOf = (name: string): Record<string, string> => Object.fromEntries(Object.entries(serviceOf(name).environment ?? {}).map(([variable, value]) => [variable, filled(value)]));

describe.each(ROLES)('the service of %s', (role) => {
  const service = serviceOf(role);

  it('starts its role, when what it needs is healthy', () => {
    expect(parseArguments(service.command ?? [])).toEqual({ help: false, roles: [role], host: null });
    expect(service.depends_on).toMatchObject({ setup: { condition: 'service_completed_successfully' }, redis: { condition: 'service_healthy' } });
  });

  it('keeps what is its own in a volume of its own, which setup fills', () => {
    expect(service.volumes).toContain(`${role}:/var/lib/novacron`);
    expect(serviceOf('setup').volumes).toContain(`${role}:/setup/${role}`);
    expect(service.read_only).toBe(true);
    expect(service.cap_drop).toEqual(['ALL']);
  });
});

it('speaks TLS with variables that there are, where its files are mounted', () => {
  const { gateway } = (parse(read('tls.yml')) as { services: Record<string, Service> }).services; // looked at next
  const { tls } = readEnvironment({ ...environmentOf('gateway'), ...(gateway?.environment as Record<string, string>) }).gateway;
  expect(gateway?.volumes).toEqual([expect.stringMatching(/^\$\{NOVACRON_TLS_DIR:\?.*\}:\/run\/novacron-tls:ro$/)]);
  expect(tls).toEqual({ cert: '/run/novacron-tls/tls.crt', key: '/run/novacron-tls/tls.key' });
});

describe.each(['setup', ...ROLES])('the environment of %s', (name) => {
  it('has variables that there are, with values that they take', () => {
    const environment = environmentOf(name);
    expect(Object.keys(environment).filter((variable) => !(variable in VARIABLES))).toEqual([]);
    expect(() => readEnvironment(environment)).not.toThrow();
  });
});

test('the gateway finds each subgraph where it listens, once it is healthy', () => {
  const { subgraphs } = readEnvironment(environmentOf('gateway'));
  for (const [name, url] of Object.entries(subgraphs.urls)) {
    const { subgraphs: own } = readEnvironment(environmentOf(name));
    expect(url).toBe(`http://${name}:${own.port}`);
    expect(own.host).toBe('0.0.0.0');
    expect(serviceOf('gateway').depends_on?.[name]).toEqual({ condition: 'service_healthy' });
  }
});

test('whatever is waited for has a health check, or ends', () => {
  for (const service of Object.values(compose.services)) {
    for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
      const isOurs = serviceOf(name).image.includes('novacron'); // its image has one
      const isChecked = isOurs || serviceOf(name).healthcheck?.test !== undefined;
      expect({ name, condition, isChecked }).toEqual({ name, condition: name === 'setup' ? 'service_completed_successfully' : 'service_healthy', isChecked: true });
    }
  }
});

test('every volume is declared, and used', () => {
  const used = Object.values(compose.services).flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(':')[0]));
  expect([...new Set(used)].toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
});

test('.env.example names what is to be filled in, and what may be', () => {
  const named = (pattern: RegExp, text: string): string[] => [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name))].toSorted();
  const example = read('.env.example');
  expect(named(/^#?([A-Z_]+)=$/gm, example)).toEqual(named(/\$\{([A-Z_]+)/g, composeText));
  expect(named(/^([A-Z_]+)=$/gm, example)).toEqual(named(/\$\{([A-Z_]+):\?/g, composeText));
});

describe('the Dockerfile', () => {
  const last = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')));

  it('takes its base as an argument, and nothing else from a registry', () => {
    expect(instructions[0]).toMatch(/^ARG BASE=\S+$/);
    const stages = instructions.flatMap((line) => /^FROM \S+ AS (\S+)$/.exec(line)?.[1] ?? []);
    const bases = instructions.flatMap((line) => /^FROM (\S+)/.exec(line)?.[1] ?? []);
    expect(bases.filter((base) => base !== '${BASE}' && !stages.includes(base))).toEqual([]);
    expect(instructions.filter((line) => /^ADD |--from=/.test(line) && !stages.some((stage) => line.includes(`--from=${stage} `)))).toEqual([]);
  });

  it('makes an image without root, with a health check, whose arguments name the role', () => {
    expect(last.filter((line) => line.startsWith('USER '))).toEqual(['USER novacron']);
    expect(last.filter((line) => line.startsWith('HEALTHCHECK ')).join()).toContain('CMD ["node", "deploy/compose/health.ts"]');
    const entrypoint = last.find((line) => line.startsWith('ENTRYPOINT '))?.slice('ENTRYPOINT '.length) ?? '[]';
    expect((JSON.parse(entrypoint) as string[]).at(-1)).toBe('app/src/main.ts');
    expect(last.join('\n')).not.toMatch(/PASSWORD|SECRET|_URL/);
  });

  it('gives every role a place where setup fills its volume', () => {
    const loop = ['gateway', 'agent', ...readdirSync(join(import.meta.dirname, '../../services'))];
    expect(loop.toSorted()).toEqual([...ROLES].toSorted());
  });
});

test('no secret and nothing built elsewhere gets into the image', () => {
  const ignored = read('../../.dockerignore').split('\n');
  expect(ignored).toEqual(expect.arrayContaining(['.git', '**/.env', '**/node_modules', '**/generated', '**/dist']));
});
