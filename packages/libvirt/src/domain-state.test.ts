import { describe, expect, it } from 'vitest';
import { describeState } from './domain-state.ts';

describe('describeState', () => {
  it.each([
    [1, 1, 'running', 'booted'],
    [1, 11, 'running', 'postcopy-failed'],
    [3, 1, 'paused', 'user'],
    [4, 1, 'shutdown', 'user'],
    [5, 8, 'shutoff', 'daemon'],
    [6, 1, 'crashed', 'panicked'],
    [7, 0, 'pmsuspended', 'unknown'],
    [1, 99, 'running', 'unknown'],
    [99, 1, 'nostate', 'unknown'],
  ])('%i, %i is %s, %s', (stateCode, reasonCode, state, reason) => {
    expect(describeState(stateCode, reasonCode)).toEqual({ state, reason, reasonCode });
  });
});
