import { describe, expect, it } from 'vitest';
import { createOperationNames } from './operation-names.ts';

describe('names of operations in metrics', () => {
  it('are those of the first 200, and nothing else afterwards', () => {
    const nameOf = createOperationNames();
    const first = Array.from({ length: 200 }, (_, index) => nameOf(`Op${index}`, true));
    expect(new Set(first).size).toBe(200);
    expect(nameOf('OneMore', true)).toBe('other');
    expect(nameOf('Op17', true)).toBe('Op17');
  });

  it('are not for strangers to choose, nor for the verbose', () => {
    const nameOf = createOperationNames();
    expect(nameOf('Vms', false)).toBe('other');
    expect(nameOf('Vms', true)).toBe('Vms');
    expect(nameOf('Vms', false)).toBe('Vms');
    expect(nameOf('V'.repeat(65), true)).toBe('other');
    expect(nameOf(undefined, true)).toBe('anonymous');
  });
});
