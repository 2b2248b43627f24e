import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { printSubgraphSchema } from '@apollo/subgraph';
import { isEnumType, isInputObjectType, isObjectType, isSpecifiedScalarType } from 'graphql';
import { expect, it } from 'vitest';
import { operationsSchema } from '../src/service.ts';

it('is the schema that is committed', () => {
  const committed = readFileSync(join(import.meta.dirname, '../schema.graphql'), 'utf8');
  expect(`${printSubgraphSchema(operationsSchema)}\n`).toBe(committed);
});

it('explains everything', () => {
  const silent: string[] = [];
  const check = (path: string, part: { description?: string | null | undefined }) => {
    if (!part.description) silent.push(path);
  };
  for (const type of Object.values(operationsSchema.getTypeMap())) {
    if (type.name.startsWith('_') || isSpecifiedScalarType(type)) continue;
    check(type.name, type);
    if (isEnumType(type)) for (const value of type.getValues()) check(`${type.name}.${value.name}`, value);
    if (!isObjectType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      if (field.name.startsWith('_')) continue;
      check(`${type.name}.${field.name}`, field);
      for (const argument of 'args' in field ? field.args : []) check(`${type.name}.${field.name}(${argument.name})`, argument);
    }
  }
  expect(silent).toEqual([]);
});

it('lets events answer what an event carries', () => {
  // composition refuses @provides of a field that its owner keeps to itself
  expect(printSubgraphSchema(operationsSchema)).toMatch(/kind: String! @shareable[^]*state: OperationState! @shareable[^]*progress: Float! @shareable/);
});
