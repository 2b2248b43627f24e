import { isId } from '@novacron/core';
import { getNamedType, isObjectType, type GraphQLField } from 'graphql';
import { legible } from './entry.ts';

/** What a mutation is about. */
export interface Target {
  targetType: string | null;
  targetId: string | null;
  tenantId: string | null;
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
/** As PostgreSQL writes ids. */
const text = (value: unknown): string | null => (typeof value !== 'string' ? null : isId(value) ? value.toLowerCase() : legible(value, 128));
const uncapitalized = (name: string): string => name.slice(0, 1).toLowerCase() + name.slice(1);

/** `createVm` and `VmPayload { vm, operation }`, `assignRole` and `User`, `revokeApiToken` and a Boolean: of what type, and where in the answer it stands. */
function subjectOf(field: GraphQLField<unknown, unknown>): { type: string; within: string | null } {
  const named = getNamedType(field.type);
  if (isObjectType(named)) {
    const fields = Object.values(named.getFields());
    if (fields.some(({ name }) => name === 'id')) return { type: named.name, within: null };
    const holds = fields.find((one) => {
      const inner = getNamedType(one.type);
      return one.name !== 'operation' && isObjectType(inner) && 'id' in inner.getFields();
    });
    if (holds) return { type: getNamedType(holds.type).name, within: holds.name };
  }
  const noun = /[A-Z].*$/.exec(field.name)?.[0];
  return { type: noun ?? 'Session', within: null }; // login, logout
}

/** What a payload is resolved from: the row under the field's name or another, or whoever has signed in. */
function recordIn(payload: Fields, within: string): Fields {
  const candidates = [payload[within], payload['view'], ...Object.values(payload).filter((value) => isFields(value) && 'id' in value)];
  return candidates.find(isFields) ?? {};
}

/** What can be told of a mutation's target: first by its arguments, and by its answer once it has one. */
export function targetReader(field: GraphQLField<unknown, unknown>): (args: Fields, answer?: unknown) => Target {
  const { type, within } = subjectOf(field);
  const key = `${uncapitalized(type)}Id`;
  return (args, answer) => {
    const input = isFields(args['input']) ? args['input'] : {};
    const payload = isFields(answer) ? answer : {};
    const record = within === null ? payload : recordIn(payload, within);
    // as identity shows users: as they are seen by somebody
    const seen = isFields(record['user']) ? record['user'] : record;
    const id = text(seen['id']) ?? text(payload[key]) ?? text(args['id']) ?? text(input['id']) ?? text(args[key]) ?? text(input[key]);
    const tenantId = type === 'Tenant' ? id : (text(seen['tenantId']) ?? text(args['tenantId']) ?? text(input['tenantId']));
    return { targetType: type, targetId: id, tenantId };
  };
}
