import { buildSchema, getOperationAST, parse } from 'graphql';
import { expect, it } from 'vitest';
import { variableFaults } from './variable-faults.ts';

const schema = buildSchema(`
  type Query { login(input: Login, codes: [Int!], level: Level): String }
  input Login { email: String! password: String more: Login }
  enum Level { LOW HIGH }
`);
const operation = getOperationAST(parse('query ($input: Login!, $codes: [Int!], $level: Level) { login(input: $input, codes: $codes, level: $level) }'));

function faults(variables: Record<string, unknown>, most = 20): string[] {
  if (!operation) throw new Error('no operation');
  return variableFaults(schema, operation, variables, most).map(({ message }) => message);
}

const SECRET = 'hunter2 at "input.email"; ';

it.each<[string, Record<string, unknown>, string[]]>([
  ['nothing is wrong', { input: { email: 'a', password: SECRET, more: { email: 'b' } }, codes: [1], level: 'LOW' }, []],
  ['one is missing', {}, ['Variable "$input" of required type "Login!" was not provided.']],
  ['one is null', { input: null }, ['Variable "$input" of non-null type "Login!" must not be null.']],
  ['a field is none', { input: { email: 'a', password: SECRET, admin: true } }, ['Variable "$input" got invalid value; Field "admin" is not defined by type "Login".']],
  ['a field is missing', { input: { email: 'a', more: { password: SECRET } } }, ['Variable "$input" got invalid value at "input.more"; Field "email" of required type "String!" was not provided.']],
  ['a field is no text', { input: { email: 'a', password: { hidden: SECRET } } }, ['Variable "$input" got invalid value at "input.password"; String cannot represent a non string value.']],
  ['an object is text', { input: SECRET }, ['Variable "$input" got invalid value; Expected type "Login" to be an object.']],
  ['items are no numbers', { input: { email: 'a' }, codes: [1, SECRET, null] }, ['Variable "$codes" got invalid value at "codes[1]"; Int cannot represent non-integer value.', 'Variable "$codes" got invalid value at "codes[2]"; Expected non-nullable type "Int!" not to be null.']],
  ['a name is of no enum', { input: { email: 'a' }, level: 'MIDDLE' }, ['Variable "$level" got invalid value; Value "MIDDLE" does not exist in "Level" enum.']],
])('says that %s, and not what was sent', (_what, variables, expected) => {
  expect(faults(variables)).toEqual(expected);
});

it('says so much and no more', () => {
  expect(faults({ input: { email: 'a' }, codes: Array.from({ length: 100_000 }, () => 'x') }, 3)).toHaveLength(3);
});
