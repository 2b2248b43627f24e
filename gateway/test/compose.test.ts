import { readFile } from 'node:fs/promises';
import { parse, visit } from 'graphql';
import { expect, it } from 'vitest';
import { checkKeys, composeSupergraph, eventsSdl } from '../src/gateway.ts';
import { smallGraph } from './small-graph.ts';

const link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable"])';
const vms = `${link} type Query { vm: Vm } "A machine." type Vm @key(fields: "id") { id: ID! name: String }`;

it('composes real services with events, without a stub that claims to answer', () => {
  const { supergraphSdl } = smallGraph();
  expect(checkKeys(supergraphSdl)).toEqual([]);
  expect(supergraphSdl).toContain('vmChanged');
});

it("keeps the owner's description of an entity, whatever the stubs say", () => {
  const { supergraphSdl } = smallGraph();
  expect(supergraphSdl).toContain('A virtual machine, as its owner describes it.');
  expect(supergraphSdl).not.toContain('"""A VM."""\ntype Vm');
});

it('writes the same supergraph whatever the order of the subgraphs', () => {
  const { sdls } = smallGraph();
  const reversed = Object.fromEntries(Object.entries({ ...sdls, events: eventsSdl() }).toReversed());
  expect(composeSupergraph(reversed)).toBe(composeSupergraph({ ...sdls, events: eventsSdl() }));
});

it('refuses what does not compose, naming every fault', () => {
  const other = `${link} type Query { one: Int } type Vm @key(fields: "id") { id: ID! name: Int }`;
  expect(() => composeSupergraph({ vms, other })).toThrow(/FIELD_TYPE_MISMATCH/);
});

it('refuses a hint: an input field that one subgraph lacks would be lost', () => {
  const input = (fields: string) => `${link} type Query { a(filter: Filter): Int @shareable } input Filter { ${fields} }`;
  expect(() => composeSupergraph({ one: input('id: ID name: String'), other: input('id: ID') })).toThrow(/INCONSISTENT_INPUT_OBJECT_FIELD/);
});

it.each([
  ['a stub', 'other', `${link} type Query { vms: [Vm] } type Vm @key(fields: "id") { id: ID! }`, ['Vm: "other" adds no field, so its key must be resolvable: false.']],
  ['events', 'events', `${link} type Query { vms: [Vm] } type Vm @key(fields: "id") { id: ID! cpu: Int }`, ['Vm: the key in "events" must be resolvable: false.']],
  ['a contributor', 'other', `${link} type Query { vms: [Vm] } type Vm @key(fields: "id") { id: ID! cpu: Int }`, []],
  ['a stub that says so', 'other', `${link} type Query { vms: [Vm] } type Vm @key(fields: "id", resolvable: false) { id: ID! }`, []],
])('finds the resolvable key of %s', (_what, name, sdl, problems) => {
  expect(checkKeys(composeSupergraph({ vms, [name]: sdl }))).toEqual(problems);
});

it('has its own SDL committed as it is', async () => {
  const committed = await readFile(new URL('../schema.graphql', import.meta.url), 'utf8');
  expect(committed).toBe(eventsSdl());
});

it('describes every type, field and argument of the events subgraph', () => {
  const undescribed: string[] = [];
  const check = (node: { name: { value: string }; description?: unknown }, path: string) => {
    if (node.description === undefined) undescribed.push(`${path}${node.name.value}`);
  };
  visit(parse(eventsSdl()), {
    ObjectTypeDefinition(type) {
      check(type, '');
      for (const field of type.fields ?? []) {
        check(field, `${type.name.value}.`);
        for (const argument of field.arguments ?? []) check(argument, `${type.name.value}.${field.name.value}.`);
      }
    },
  });
  expect(undescribed).toEqual([]);
});
