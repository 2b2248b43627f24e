import { VM_STATES, type VmState } from '@novacron/contracts';
import { describe, expect, it } from 'vitest';
import { believes, checkCmdline, checkMemory, checkTags, checkVcpus, isDrift, reasonOf, refusal, RULES, stateOf, VM_VERBS, type VmVerb } from './rules.ts';

describe('a verb begins only in the states of its row', () => {
  const allowed: Record<VmVerb, VmState[]> = {
    create: [],
    start: ['STOPPED', 'CRASHED', 'ERROR'],
    stop: ['RUNNING', 'PAUSED'],
    reboot: ['RUNNING'],
    pause: ['RUNNING'],
    resume: ['PAUSED'],
    delete: ['STOPPED', 'RUNNING', 'PAUSED', 'CRASHED', 'ERROR', 'UNKNOWN'],
  };
  it.each(VM_VERBS.flatMap((verb) => VM_STATES.map((state) => [verb, state] as const)))('%s from %s', (verb, state) => {
    expect(refusal(verb, state) === null).toBe(allowed[verb].includes(state));
  });

  it('says from which states it would', () => {
    expect(refusal('start', 'RUNNING')).toBe("A VM that is RUNNING can't start: it must be STOPPED, CRASHED or ERROR.");
    expect(refusal('resume', 'RUNNING')).toBe("A VM that is RUNNING can't resume: it must be PAUSED.");
  });
});

describe('the state', () => {
  it('is the verb in flight, else what was seen', () => {
    for (const verb of VM_VERBS) expect(stateOf('NONE', verb)).toBe(RULES[verb].via);
    expect(stateOf('STOPPED', 'create')).toBe('PROVISIONING');
    expect(stateOf('RUNNING', null)).toBe('RUNNING');
    expect(stateOf('MISSING', null)).toBe('ERROR');
    expect(stateOf('NONE', null)).toBe('UNKNOWN');
  });

  it.each([
    ['STOPPED', 'RUNNING', null, true],
    ['RUNNING', 'RUNNING', null, false],
    ['MISSING', 'STOPPED', null, true],
    ['STOPPED', 'RUNNING', 'start', false],
  ] as const)('%s while %s was asked for and %s is in flight: drift %s', (observed, desired, verb, drift) => {
    expect(isDrift(observed, desired, verb)).toBe(drift);
  });

  it('explains a domain that is gone', () => {
    expect(reasonOf('MISSING', null)).toMatch(/gone from its host/);
    expect(reasonOf('CRASHED', 'crashed')).toBe('crashed');
  });

  it('stays CRASHED while libvirt only forgets why it is off', () => {
    expect(believes('CRASHED', 'STOPPED', null)).toBe(false);
    expect(believes('CRASHED', 'STOPPED', 'destroyed')).toBe(true);
    expect(believes('CRASHED', 'RUNNING', null)).toBe(true);
    expect(believes('RUNNING', 'STOPPED', null)).toBe(true);
  });
});

describe('input', () => {
  it.each([0, -1, 1.5, 256, Number.NaN])('refuses %d vCPUs', (vcpus) => expect(() => checkVcpus(vcpus)).toThrow(expect.objectContaining({ field: 'vcpus' })));
  it.each([0, 15 * 2 ** 20, 2 ** 30 + 1, 2 ** 45])('refuses %d bytes of memory', (bytes) =>
    expect(() => checkMemory(bytes)).toThrow(expect.objectContaining({ field: 'memory' })));
  it('takes 1 vCPU and 512 MiB', () => expect([checkVcpus(1), checkMemory(2 ** 29)]).toEqual([1, 2 ** 29]));
  it('drops duplicate tags and keeps their order', () => expect(checkTags(['b', 'a', 'b'])).toEqual(['b', 'a']));
  it.each([[['']], [['-a']], [['a b']], [Array.from({ length: 51 }, (_, index) => `t${index}`)]])('refuses the tags %j', (tags) =>
    expect(() => checkTags(tags)).toThrow(expect.objectContaining({ field: 'tags' })));
  it.each(['a\nb', '\u0000', 'x'.repeat(2049)])('refuses a command line', (cmdline) =>
    expect(() => checkCmdline(cmdline)).toThrow(expect.objectContaining({ field: 'kernel.cmdline' })));
});
