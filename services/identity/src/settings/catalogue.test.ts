import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SETTINGS } from './catalogue.ts';

describe.each(Object.entries(SETTINGS))('%s', (name, { schema, otherwise, description }) => {
  it('takes its own default', () => {
    expect(schema.safeParse(otherwise)).toEqual({ success: true, data: otherwise });
  });

  it('is in the manual', () => {
    const manual = readFileSync(new URL('../../../../docs/operations.md', import.meta.url), 'utf8');
    expect(manual).toContain(`| \`${name}\` | \`${JSON.stringify(otherwise)}\` | ${description} |`);
  });
});
