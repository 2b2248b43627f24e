import { describe, expect, test } from 'vitest';
import { VARIABLES } from '../app/src/environment.ts';
import { environmentExample, environmentTable, withTable } from './environment.ts';

const one: [string, { description: string; otherwise: string }][] = [
  ['NOVACRON_ONE', { description: 'This | that.', otherwise: '<NOVACRON_DATA>/one' }],
];

describe('the documentation of the environment', () => {
  test('has every variable, with its description', () => {
    const table = environmentTable();
    const example = environmentExample();
    for (const [name, { description }] of Object.entries(VARIABLES)) {
      expect(table).toContain(`| \`${name}\` |`);
      expect(example).toContain(`# ${description}\n`);
      expect(example).toContain(`\n#${name}=\n`);
    }
  });

  test('is Markdown whatever a description says', () => {
    expect(environmentTable(one).split('\n').at(-1)).toBe('| `NOVACRON_ONE` | This \\| that. | &lt;NOVACRON_DATA>/one |');
  });

  test('sets nothing when the example is used as it is', () => {
    const set = environmentExample().split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(set).toEqual([]);
  });

  test('stands between its markers and leaves the rest alone', () => {
    const text = 'before\n<!-- environment -->\nold\n<!-- /environment -->\nafter\n';
    const written = withTable(text, 'new');
    expect(written).toBe('before\n<!-- environment -->\nnew\n<!-- /environment -->\nafter\n');
    expect(withTable(written, 'new')).toBe(written);
  });

  test('says which marker a README lacks', () => {
    expect(() => withTable('# No markers')).toThrow('<!-- environment -->');
  });
});
