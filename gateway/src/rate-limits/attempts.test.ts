import { readFileSync } from 'node:fs';
import { buildSchema, getNamedType, isInputObjectType, parse, type GraphQLField, type OperationDefinitionNode } from 'graphql';
import { describe, expect, it } from 'vitest';
import { attemptsIn } from './attempts.ts';

const identity = buildSchema(readFileSync(new URL('../../../services/identity/schema.graphql', import.meta.url), 'utf8'), { assumeValid: true });

const attemptsOf = (mutation: string) => {
  const document = parse(`mutation { ${mutation} }`);
  return attemptsIn(document, document.definitions[0] as OperationDefinitionNode); // the one that was just written
};

/** Its arguments, and the fields of its inputs. */
const asksFor = (field: GraphQLField<unknown, unknown>): string[] =>
  field.args.flatMap(({ name, type }) => {
    const named = getNamedType(type);
    return [name, ...(isInputObjectType(named) ? Object.keys(named.getFields()) : [])];
  });

const WITH_PASSWORD = Object.values(identity.getMutationType()?.getFields() ?? {}).filter((field) => asksFor(field).some((name) => /password$/i.test(name)));

describe('what is counted by address', () => {
  it.each(WITH_PASSWORD.map(({ name }) => name))('is %s, which hashes a password', (name) => expect(attemptsOf(name)).toHaveLength(1));

  it('is none of the rest', () => {
    expect(WITH_PASSWORD.length).toBeGreaterThan(5);
    expect(attemptsOf('logout createVm constructor')).toEqual([]);
  });
});
