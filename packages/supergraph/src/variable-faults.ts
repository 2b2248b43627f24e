import { coerceInputValue, getVariableValues, GraphQLError, isInputType, isNonNullType, typeFromAST, type GraphQLSchema, type OperationDefinitionNode, type VariableDefinitionNode } from 'graphql';

/** Ends the reading of variables of which enough is known to be wrong. */
class Enough extends Error {}

/**
 * What is wrong with the variables of an operation, `most` faults at most: what, where and why, as graphql-js says it but for the
 * values themselves. It would repeat a whole input object, with the password in it, because of a field that is none.
 */
export function variableFaults(schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Readonly<Record<string, unknown>>, most: number): GraphQLError[] {
  const { variableDefinitions = [] } = operation;
  if (getVariableValues(schema, variableDefinitions, variables, { maxErrors: 1 }).errors === undefined) return [];
  const faults: GraphQLError[] = [];
  const add = (fault: GraphQLError): void => {
    faults.push(fault);
    if (faults.length >= most) throw new Enough();
  };
  try {
    for (const definition of variableDefinitions) readVariable(schema, definition, variables, add);
  } catch (thrown) {
    if (!(thrown instanceof Enough)) throw thrown;
  }
  return faults;
}

function readVariable(schema: GraphQLSchema, definition: VariableDefinitionNode, variables: Readonly<Record<string, unknown>>, add: (fault: GraphQLError) => void): void {
  const { value: name } = definition.variable.name;
  const type = typeFromAST(schema, definition.type);
  const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
  if (value === undefined || !isInputType(type) || (value === null && isNonNullType(type))) {
    getVariableValues(schema, [definition], variables).errors?.forEach(add); // is missing: there is no value to repeat
    return;
  }
  coerceInputValue(value, type, (path, _value, error) => {
    const at = path.length > 0 ? ` at "${name}${path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('')}"` : '';
    add(new GraphQLError(`Variable "$${name}" got invalid value${at}; ${withoutValue(error.message)}`, { nodes: [definition], originalError: error.originalError ?? null }));
  });
}

/** `String cannot represent a non string value: 5`, as each scalar of graphql-js says it. */
const withoutValue = (reason: string): string => reason.replace(/^(\w+ cannot represent [^:]*): .*$/s, '$1.');
