import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearestMiss, place, type HostFacts, type PlacementRequest } from './place.ts';

const GIB = 2 ** 30;
const host = (name: string, more: Partial<HostFacts> = {}): HostFacts => ({
  id: `id-${name}`,
  name,
  state: 'ONLINE',
  labels: {},
  capacity: { vcpus: 8, memory: 8 * GIB },
  allocated: { vcpus: 0, memory: 0 },
  vmIds: new Set(),
  ...more,
});
const ask = (more: Partial<PlacementRequest> = {}): PlacementRequest => ({ vcpus: 1, memory: GIB, strategy: 'SPREAD', ...more });
const busy = { allocated: { vcpus: 4, memory: 4 * GIB } };

describe('the chosen host', () => {
  it.each([
    ['SPREAD takes the emptiest', ask(), [host('a', busy), host('b')], 'id-b'],
    ['PACK takes the fullest', ask({ strategy: 'PACK' }), [host('a', busy), host('b')], 'id-a'],
    ['equal scores go by name', ask(), [host('b'), host('a')], 'id-a'],
    ['the one asked for', ask({ hostId: 'id-a' }), [host('a', busy), host('b')], 'id-a'],
    ['one with the labels', ask({ requireLabels: { zone: 'x' } }), [host('a'), host('b', { labels: { zone: 'x' } })], 'id-b'],
    ['where its friends are', ask({ affinity: ['vm'] }), [host('a'), host('b', { vmIds: new Set(['vm']) })], 'id-b'],
    ['where its rivals are not', ask({ antiAffinity: ['vm'] }), [host('a', { vmIds: new Set(['vm']) }), host('b', busy)], 'id-b'],
    ['none when all are offline', ask(), [host('a', { state: 'OFFLINE' })], null],
    ['none when there is none', ask(), [], null],
    ['none when it fits nowhere', ask({ memory: 9 * GIB }), [host('a')], null],
    ['the last byte fits', ask({ memory: 8 * GIB, vcpus: 8 }), [host('a')], 'id-a'],
  ])('%s', (_what, request, hosts, chosen) => {
    expect(place(request, hosts).chosenHostId).toBe(chosen);
  });

  it('never has too little, and every host is among the candidates', () => {
    const hosts = fc.array(
      fc.record({ vcpus: fc.nat(16), memory: fc.nat(16), usedVcpus: fc.nat(16), usedMemory: fc.nat(16), online: fc.boolean() }),
    );
    fc.assert(
      fc.property(hosts, fc.nat(8), fc.nat(8), (drawn, vcpus, memory) => {
        const facts = drawn.map((one, index) =>
          host(`h${index}`, {
            state: one.online ? 'ONLINE' : 'OFFLINE',
            capacity: { vcpus: one.vcpus, memory: one.memory },
            allocated: { vcpus: one.usedVcpus, memory: one.usedMemory },
          }),
        );
        const decision = place(ask({ vcpus, memory }), facts);
        const chosen = facts.find((one) => one.id === decision.chosenHostId);
        expect(decision.candidates).toHaveLength(facts.length);
        if (!chosen) return decision.candidates.every((candidate) => candidate.rejectedBecause !== null);
        return chosen.state === 'ONLINE' && chosen.capacity.memory - chosen.allocated.memory >= memory && chosen.capacity.vcpus - chosen.allocated.vcpus >= vcpus;
      }),
    );
  });
});

describe('a refusal', () => {
  it.each([
    ['names what is short and where', ask({ memory: 8.5 * GIB }), [host('a', busy), host('b')], 'No host has room: short by 512 MiB of memory on host b.'],
    ['names both', ask({ memory: 9 * GIB, vcpus: 9 }), [host('a')], 'No host has room: short by 1024 MiB of memory and 1 vCPU on host a.'],
    ['speaks of the host that was asked for', ask({ hostId: 'id-a' }), [host('a', { state: 'OFFLINE' }), host('b')], "Host a can't take it: The host is OFFLINE."],
    ['of the only host', ask(), [host('a', { state: 'MAINTENANCE' })], "The only host, a, can't take it: The host is MAINTENANCE."],
    ['of none', ask(), [], 'No host is registered.'],
  ])('%s', (_what, request, hosts, sentence) => {
    expect(nearestMiss(request, hosts)).toBe(sentence);
  });
});
