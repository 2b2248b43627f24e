import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createTelemetry } from '../../gateway/src/telemetry.ts';

interface Dashboard {
  panels: { title: string; targets: { expr: string }[] }[];
}

it('the dashboard shows series that there are', async () => {
  const { panels } = JSON.parse(readFileSync(join(import.meta.dirname, 'gateway.json'), 'utf8')) as Dashboard;
  const types = new Map([...(await createTelemetry().print()).matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  const shown = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => expr.match(/\b(?:novacron|nodejs|process)_\w+/g) ?? []));
  const isThere = (name: string) => types.has(name) || types.get(name.replace(/_(?:bucket|sum|count)$/, '')) === 'histogram';
  expect(shown.length).toBeGreaterThanOrEqual(panels.length);
  expect(shown.filter((name) => !isThere(name))).toEqual([]);
});
