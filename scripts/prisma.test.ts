import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const services = readdirSync(join(root, 'prisma')).filter((name) => existsSync(join(root, 'prisma', name, 'schema.prisma')));

function prisma(service: string, args: string[], env: NodeJS.ProcessEnv = {}): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/prisma.ts'), service, ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, DATABASE_URL: '', ...env },
  });
  return { status, output: `${stdout}${stderr}` };
}

test.each(services)('the migrations of %s lead to its schema', (service) => {
  const [from, to] = [`prisma/${service}/migrations`, `prisma/${service}/schema.prisma`];
  const { output } = prisma(service, ['migrate', 'diff', '--from-migrations', from, '--to-schema', to, '--exit-code']);
  expect(output).toContain('No difference detected.');
});

test('an unknown service is answered with those there are', () => {
  const { status, output } = prisma('nobody', ['validate']);
  expect(status).toBe(2);
  expect(output).toContain(`one of ${services.join(', ')}.`);
});

test('the schema engine says so when there is no database', () => {
  const { status, output } = prisma('identity', ['migrate', 'status'], { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/nothing' });
  expect(status).toBe(1);
  expect(output).toContain('P1001');
});
